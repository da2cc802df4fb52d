package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"regexp"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

func sendScenarios() []scenario {
	return []scenario{
		{"send-sync", sendSync},
		{"send-to-one-queue", sendToOneQueue},
		{"send-async", sendAsync},
		{"send-one-way", sendOneWay},
		{"send-properties", sendProperties},
		{"send-batch", sendBatch},
		{"send-compressed", sendCompressed},
		{"send-large", sendLarge},
		{"body-too-large", bodyTooLarge},
		{"topic-name-illegal", topicNameIllegal},
		{"topic-auto-created", topicAutoCreated},
		{"topic-unknown", topicUnknown},
	}
}

// checkDense checks that the results cover each queue's offsets from 0 without gap or repeat.
func checkDense(results []*primitive.SendResult) {
	seen := map[int]map[int64]bool{}
	for _, result := range results {
		queue := result.MessageQueue.QueueId
		if seen[queue] == nil {
			seen[queue] = map[int64]bool{}
		}
		check(!seen[queue][result.QueueOffset], "offset given twice: %v", result)
		seen[queue][result.QueueOffset] = true
	}
	for queue, offsets := range seen {
		for i := 0; i < len(offsets); i++ {
			check(offsets[int64(i)], "offset %d of queue %d is missing", i, queue)
		}
	}
}

func sendSync(s *stage) {
	topic := s.topic("t", 4)
	offsetID := regexp.MustCompile("^[0-9A-F]{32}$")
	var results []*primitive.SendResult
	for i := 0; i < 40; i++ {
		sent := s.send(primitive.NewMessage(topic, []byte(fmt.Sprintf("m%d", i))))
		check(len(sent.MsgID) == 32, "unique id %s", sent.MsgID)
		check(offsetID.MatchString(sent.OffsetMsgID), "offset id %s", sent.OffsetMsgID)
		results = append(results, sent)
	}
	checkDense(results)
	s.readAll(topic, 40)
}

func sendToOneQueue(s *stage) {
	topic := s.topic("t", 4)
	own := s.ownProducer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	queue := s.queues(topic)[2]
	for i := 0; i < 20; i++ {
		message := primitive.NewMessage(topic, []byte(fmt.Sprintf("m%d", i)))
		message.Queue = queue
		sent, err := own.SendSync(background, message)
		must(err, "send")
		equal(2, sent.MessageQueue.QueueId, "queue")
		equal(int64(i), sent.QueueOffset, "offset")
	}
	for i, message := range s.readAll(topic, 20) {
		equal(fmt.Sprintf("m%d", i), string(message.Body), "order in the queue")
	}
}

func sendAsync(s *stage) {
	topic := s.topic("t", 4)
	var lock sync.Mutex
	var results []*primitive.SendResult
	var errs []error
	var answered sync.WaitGroup
	for i := 0; i < 100; i++ {
		answered.Add(1)
		err := s.producer.SendAsync(background, func(_ context.Context, result *primitive.SendResult, err error) {
			lock.Lock()
			defer lock.Unlock()
			if err == nil {
				results = append(results, result)
			} else {
				errs = append(errs, err)
			}
			answered.Done()
		}, primitive.NewMessage(topic, []byte(fmt.Sprintf("m%d", i))))
		must(err, "send")
	}
	answered.Wait()
	check(len(errs) == 0, "%d errors: %v", len(errs), errs)
	checkDense(results)
	s.readAll(topic, 100)
}

func sendOneWay(s *stage) {
	topic := s.topic("t", 2)
	for i := 0; i < 50; i++ {
		must(s.producer.SendOneWay(background, primitive.NewMessage(topic, []byte(fmt.Sprintf("m%d", i)))), "send")
	}
	s.readAll(topic, 50)
}

func sendProperties(s *stage) {
	topic := s.topic("t", 1)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	message := primitive.NewMessage(topic, every)
	message.WithTag("TagÄ").WithKeys([]string{"key1", "key2"})
	message.WithProperty("plain", "value with blanks = and: signs")
	message.WithProperty("unicode-名", "значение 🚀")
	message.Flag = 77
	sent := s.send(message)
	got := s.readAll(topic, 1)[0]
	check(bytes.Equal(every, got.Body), "body differs: %v", got.Body)
	equal("TagÄ", got.GetTags(), "tags")
	equal("key1 key2", strings.TrimSpace(got.GetKeys()), "keys")
	equal("value with blanks = and: signs", got.GetProperty("plain"), "plain property")
	equal("значение 🚀", got.GetProperty("unicode-名"), "unicode property")
	equal(sent.MsgID, got.MsgId, "unique id")
	equal(sent.OffsetMsgID, got.OffsetMsgId, "offset id")
	equal(int32(77), got.Flag, "flag")
	equal(int32(0), got.ReconsumeTimes, "reconsume times")
}

func sendBatch(s *stage) {
	topic := s.topic("t", 1)
	var messages []*primitive.Message
	for i := 0; i < 32; i++ {
		messages = append(messages, primitive.NewMessage(topic, []byte(fmt.Sprintf("m%d", i))).WithTag(fmt.Sprintf("t%d", i%2)))
	}
	sent, err := s.producer.SendSync(background, messages...)
	must(err, "send")
	equal(primitive.SendOK, sent.Status, "status")
	equal(int64(0), sent.QueueOffset, "offset of the first")
	for i, got := range s.readAll(topic, 32) {
		equal(fmt.Sprintf("m%d", i), string(got.Body), "body")
		equal(fmt.Sprintf("t%d", i%2), got.GetTags(), "tag")
	}
}

func sendCompressed(s *stage) {
	topic := s.topic("t", 1)
	body := strings.Repeat("compress me ", 5000)
	s.send(primitive.NewMessage(topic, []byte(body)))
	got := s.readAll(topic, 1)[0]
	equal(body, string(got.Body), "body")
	check(int(got.StoreSize) < len(body)/10, "stored in %d bytes of %d", got.StoreSize, len(body))
}

func sendLarge(s *stage) {
	topic := s.topic("t", 1)
	random := rand.New(rand.NewSource(7))
	sizes := []int{4_000, 300_000, 1 << 20}
	var bodies [][]byte
	for _, size := range sizes {
		body := make([]byte, size)
		random.Read(body)
		bodies = append(bodies, body)
		s.send(primitive.NewMessage(topic, body))
	}
	for i, got := range s.readAll(topic, len(sizes)) {
		check(bytes.Equal(bodies[i], got.Body), "body %d differs", i)
	}
}

func refused(s *stage, message *primitive.Message, own ...producer.Option) string {
	result, err := s.ownProducer(append(own, producer.WithRetry(0))...).SendSync(background, message)
	check(err != nil, "accepted: %v", result)
	return err.Error()
}

func bodyTooLarge(s *stage) {
	topic := s.topic("t", 1)
	body := make([]byte, 5<<20)
	rand.New(rand.NewSource(3)).Read(body)
	why := refused(s, primitive.NewMessage(topic, body))
	check(strings.Contains(why, "CODE: 13"), "refused with %q", why)
	s.sendNumbered(topic, "A", 0, 1)
}

func topicNameIllegal(s *stage) {
	why := refused(s, primitive.NewMessage("bad topic!", []byte("m")))
	check(strings.Contains(why, "CODE: ") || strings.Contains(why, "topic"), "refused with %q", why)
}

func topicAutoCreated(s *stage) {
	topic := s.name("t")
	s.send(primitive.NewMessage(topic, []byte("m0")))
	s.awaitRoute(topic, 4)
	s.send(primitive.NewMessage(topic, []byte("m1")))
	s.readAll(topic, 2)
}

func topicUnknown(s *stage) {
	refused(s, primitive.NewMessage(s.name("t"), []byte("m")), producer.WithCreateTopicKey(s.name("no-template")))
}
