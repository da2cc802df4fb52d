package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// Requests, namespaces, groups whose members want different things, queue counts that change.
func classicScenarios() []scenario {
	return []scenario{
		{"request-reply", requestReply},
		{"namespace", namespace},
		{"division-tags", divisionTags},
		{"scale-grow", scaleGrow},
		{"orderly-takeover", orderlyTakeover},
	}
}

func requestReply(s *stage) {
	topic := s.topic("t", 1)
	replier := s.ownProducer()
	answering := s.push("g")
	must(answering.Subscribe(topic, consumer.MessageSelector{}, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		for _, message := range messages {
			reply, err := consumer.CreateReplyMessage(message, nil)
			if err != nil {
				return consumer.ConsumeRetryLater, err
			}
			reply.Body = append([]byte("re: "), message.Body...)
			if _, err = replier.SendSync(ctx, reply); err != nil {
				return consumer.ConsumeRetryLater, err
			}
		}
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(answering.Start(), "start")
	requester := s.ownProducer(producer.WithGroupName(s.name("requester")))
	reply, err := requester.Request(background, patience, primitive.NewMessage(topic, []byte("what")))
	must(err, "request")
	equal("re: what", string(reply.Body), "reply")
}

func namespace(s *stage) {
	topic := s.name("t")
	own := s.ownProducer(producer.WithNamespace("nsgo"))
	_, err := own.SendSync(background, primitive.NewMessage(topic, []byte("m0")))
	must(err, "send")
	s.awaitRoute("nsgo%"+topic, 4)
	var refusals atomic.Int32
	var seen collected
	in := s.push("g", consumer.WithNamespace("nsgo"))
	must(in.Subscribe(topic, consumer.MessageSelector{}, func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if refusals.Add(1) == 1 {
			if delay, ok := primitive.GetConcurrentlyCtx(ctx); ok {
				delay.DelayLevelWhenNextConsume = 1
			}
			return consumer.ConsumeRetryLater, nil
		}
		return seen.listen(ctx, messages...)
	}), "subscribe")
	must(in.Start(), "start")
	seen.await([]string{"m0"})
	all, err := s.admin.FetchAllTopicList(background)
	must(err, "topics")
	found := false
	for _, name := range all.TopicList {
		check(name != topic, "%s is listed without its namespace", topic)
		found = found || name == "nsgo%"+topic
	}
	check(found, "nsgo%%%s is not listed", topic)
}

// divisionTags: Apache brokers lose messages here; only ours are held to it.
func divisionTags(s *stage) {
	topic := s.topic("t", 4)
	var a, b collected
	s.collect("g", topic, "a", &a)
	s.collect("g", topic, "b", &b)
	time.Sleep(2 * time.Second) // both have told the broker what they want
	var wantedA, wantedB []string
	for i := 0; i < 50; i++ {
		for _, tag := range []string{"a", "b"} {
			message := primitive.NewMessage(topic, []byte(fmt.Sprint(tag, i)))
			message.WithTag(tag)
			s.send(message)
		}
		wantedA, wantedB = append(wantedA, fmt.Sprint("a", i)), append(wantedB, fmt.Sprint("b", i))
	}
	if s.peer {
		return
	}
	a.awaitExactly(wantedA)
	b.awaitExactly(wantedB)
}

func scaleGrow(s *stage) {
	topic := s.topic("t", 2)
	var seen collected
	s.collect("g", topic, "*", &seen)
	sent := s.sendNumbered(topic, "", 0, 20)
	must(s.admin.CreateTopic(background, admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(s.broker),
		admin.WithReadQueueNums(5), admin.WithWriteQueueNums(5), admin.WithPerm(readWrite)), "grow")
	next, reached := 20, 0
	eventually("sends reach the new queues", func() bool {
		message := primitive.NewMessage(topic, []byte(fmt.Sprint("m", next)))
		sent = append(sent, fmt.Sprint("m", next))
		next++
		reached = max(reached, s.send(message).MessageQueue.QueueId)
		time.Sleep(100 * time.Millisecond)
		return reached == 4
	}, func() any { return reached })
	seen.await(sent)
}

// orderlyTakeover: one of two orderly members leaves, and each queue goes on in its order.
func orderlyTakeover(s *stage) {
	topic := s.topic("t", 2)
	var seen collected
	first := s.collect("g", topic, "*", &seen, consumer.WithConsumerOrder(true))
	s.collect("g", topic, "*", &seen, consumer.WithConsumerOrder(true))
	queues := s.queues(topic)
	own := s.ownProducer(producer.WithQueueSelector(producer.NewManualQueueSelector()))
	var sent []string
	send := func(from int) {
		for i := from; i < from+20; i++ {
			message := primitive.NewMessage(topic, []byte(fmt.Sprint("m", i)))
			message.Queue = queues[i%len(queues)]
			_, err := own.SendSync(background, message)
			must(err, "send")
			sent = append(sent, fmt.Sprint("m", i))
		}
	}
	send(0)
	seen.await(sent)
	must(first.Shutdown(), "shutdown")
	send(20)
	seen.await(sent)
	last := map[int]int{}
	for _, message := range seen.all() {
		var number int
		_, err := fmt.Sscanf(string(message.Body), "m%d", &number)
		must(err, "body")
		queue := message.Queue.QueueId
		before, known := last[queue]
		check(!known || number <= before+len(queues), "queue %d: %d after %d", queue, number, before)
		last[queue] = number
	}
}
