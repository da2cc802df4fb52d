package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const messageQuota = "quota.messages-per-second"

// Rates that an operator sets. Apache's brokers have none.
func quotaScenarios() []scenario {
	return []scenario{
		{"quota-topic", onlyOurs(quotaTopic)},
		{"quota-group", onlyOurs(quotaGroup)},
	}
}

func onlyOurs(run func(*stage)) func(*stage) {
	return func(s *stage) {
		if !s.peer {
			run(s)
		}
	}
}

// ask sends one request as it is: this client's admin knows no attributes.
func (s *stage) ask(code int, fields map[string]string, body []byte) {
	connection, err := net.DialTimeout("tcp", s.broker, sendWithin)
	must(err, "connect")
	defer connection.Close()
	must(connection.SetDeadline(time.Now().Add(sendWithin)), "deadline")
	header, err := json.Marshal(map[string]any{
		"code": code, "language": "GO", "version": 317, "opaque": 1, "flag": 0, "extFields": fields,
	})
	must(err, "header")
	frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(header)))
	_, err = connection.Write(append(append(frame, header...), body...))
	must(err, "write")
	var lengths [8]byte
	_, err = io.ReadFull(connection, lengths[:])
	must(err, "read")
	answer := make([]byte, binary.BigEndian.Uint32(lengths[4:])&0xff_ff_ff)
	_, err = io.ReadFull(connection, answer)
	must(err, "read")
	var head struct{ Code int }
	must(json.Unmarshal(answer, &head), "answer")
	check(head.Code == 0, "request %d was answered with %s", code, answer)
}

// quotaTopic: who is over the quota is told so at once, and taken again after a pause.
func quotaTopic(s *stage) {
	topic := s.name("t")
	s.ask(17, map[string]string{
		"topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1", "perm": "6",
		"topicFilterType": "SINGLE_TAG", "order": "false", "attributes": "+" + messageQuota + "=20",
	}, nil)
	s.awaitRoute(topic, 1)
	own := s.ownProducer(producer.WithRetry(0))
	taken := 0
	var refusal error
	for refusal == nil && taken < 1000 {
		_, refusal = own.SendSync(background, primitive.NewMessage(topic, []byte(strconv.Itoa(taken))))
		if refusal == nil {
			taken++
		}
	}
	check(refusal != nil, "all of %d messages were taken at once", taken)
	check(strings.Contains(refusal.Error(), "over its quota"), "refused with %v", refusal)
	check(taken >= 20, "only %d were taken at once", taken)
	time.Sleep(1500 * time.Millisecond)
	_, err := own.SendSync(background, primitive.NewMessage(topic, []byte("later")))
	must(err, "a send after a pause")
	equal("later", string(s.readAll(topic, taken+1)[taken].Body), "the last message")
}

// quotaGroup: a group over its quota gets all messages, later.
func quotaGroup(s *stage) {
	topic := s.topic("t", 4)
	group, err := json.Marshal(map[string]any{
		"groupName": s.name("slow"), "attributes": map[string]string{"+" + messageQuota: "5"},
	})
	must(err, "group")
	s.ask(200, map[string]string{}, group)
	sent := s.sendNumbered(topic, "A", 0, 80)
	var slow, free collected
	begin := time.Now()
	s.collect("slow", topic, "*", &slow)
	s.collect("free", topic, "*", &free)
	free.await(sent)
	slow.awaitExactly(sent)
	// At most one second in advance, and one answer of 20 messages.
	check(time.Since(begin) >= 10*time.Second, "80 messages at 5 a second came within %v", time.Since(begin))
}
