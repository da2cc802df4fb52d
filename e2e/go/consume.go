package main

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// longPollLimit: a message to an idle consumer must arrive within this, as the median of several.
const longPollLimit = 200 * time.Millisecond

func consumeScenarios() []scenario {
	return []scenario{
		{"push-all-once", pushAllOnce},
		{"push-tags", pushTags},
		{"push-rebalance", pushRebalance},
		{"push-broadcast", pushBroadcast},
		{"push-from-last", pushFromLast},
		{"push-offset-kept", pushOffsetKept},
		{"push-long-poll", pushLongPoll},
		{"push-orderly", pushOrderly},
		{"pull-offsets", pullOffsets},
		{"pull-filter", pullFilter},
		{"pull-group-offset", pullGroupOffset},
		{"pull-poll", pullPoll},
	}
}

func pushAllOnce(s *stage) {
	topic := s.topic("t", 3)
	sent := s.sendNumbered(topic, "A", 0, 100)
	var seen collected
	s.collect("g", topic, "*", &seen)
	seen.awaitExactly(append(sent, s.sendNumbered(topic, "B", 100, 100)...))
}

func pushTags(s *stage) {
	topic := s.topic("t", 2)
	var two, all collected
	s.collect("two", topic, "A || B", &two)
	s.collect("all", topic, "*", &all)
	both := append(s.sendNumbered(topic, "A", 0, 20), s.sendNumbered(topic, "B", 20, 20)...)
	rest := append(s.sendNumbered(topic, "C", 40, 20), s.sendNumbered(topic, "", 60, 5)...)
	two.awaitExactly(both)
	all.awaitExactly(append(both, rest...))
}

// pushRebalance: two share the queues, one leaves, the other takes over.
func pushRebalance(s *stage) {
	topic := s.topic("t", 4)
	var first, second collected
	leaving := s.collect("g", topic, "*", &first)
	first.await(s.sendNumbered(topic, "A", 0, 8))
	s.collect("g", topic, "*", &second)
	sent := 8
	eventually("both receive", func() bool {
		s.sendNumbered(topic, "A", sent, 8)
		sent += 8
		time.Sleep(200 * time.Millisecond)
		return len(second.all()) > 0
	}, func() any { return fmt.Sprint(len(first.all()), " and ", len(second.all())) })
	must(leaving.Shutdown(), "shutdown")
	var expected []string
	for i := 0; i < sent; i++ {
		expected = append(expected, fmt.Sprintf("m%d", i))
	}
	expected = append(expected, s.sendNumbered(topic, "A", sent, 20)...)
	eventually("everything at one of the two", func() bool {
		got := map[string]bool{}
		for _, body := range append(first.bodies(), second.bodies()...) {
			got[body] = true
		}
		for _, body := range expected {
			if !got[body] {
				return false
			}
		}
		return true
	}, func() any { return fmt.Sprint(len(first.all()), " and ", len(second.all()), " of ", len(expected)) })
}

func pushBroadcast(s *stage) {
	topic := s.topic("t", 2)
	var first, second collected
	s.collect("g", topic, "*", &first, consumer.WithConsumerModel(consumer.BroadCasting))
	s.collect("g", topic, "*", &second, consumer.WithConsumerModel(consumer.BroadCasting))
	sent := s.sendNumbered(topic, "A", 0, 20)
	first.await(sent)
	second.await(sent)
}

// pushFromLast: this client asks the broker first, which answers 0 for a group that it does not know.
func pushFromLast(s *stage) {
	topic := s.topic("t", 1)
	old := s.sendNumbered(topic, "A", 0, 10)
	var seen collected
	s.collect("g", topic, "*", &seen, consumer.WithConsumeFromWhere(consumer.ConsumeFromLastOffset))
	seen.awaitExactly(append(old, s.sendNumbered(topic, "A", 10, 10)...))
}

func pushOffsetKept(s *stage) {
	topic := s.topic("t", 4)
	var before, after collected
	first := s.collect("g", topic, "*", &before)
	before.awaitExactly(s.sendNumbered(topic, "A", 0, 40))
	must(first.Shutdown(), "shutdown")
	time.Sleep(quiet) // commits are one-way
	fresh := s.sendNumbered(topic, "A", 40, 40)
	s.collect("g", topic, "*", &after)
	after.awaitExactly(fresh)
}

func pushLongPoll(s *stage) {
	topic := s.topic("t", 1)
	var seen collected
	s.collect("g", topic, "*", &seen)
	seen.await(s.sendNumbered(topic, "A", 0, 1))
	var latencies []time.Duration
	for i := 1; i < 12; i++ {
		time.Sleep(150 * time.Millisecond)
		begin := time.Now()
		s.sendNumbered(topic, "A", i, 1)
		eventually("delivery", func() bool { return len(seen.all()) > i }, func() any { return seen.bodies() })
		latencies = append(latencies, time.Since(begin))
	}
	sort.Slice(latencies, func(i, j int) bool { return latencies[i] < latencies[j] })
	median := latencies[len(latencies)/2]
	check(median < longPollLimit, "median %v of %v", median, latencies)
}

func pushOrderly(s *stage) {
	topic := s.topic("t", 4)
	var lock sync.Mutex
	seen := map[int][]string{}
	count := 0
	own := s.push("g", consumer.WithConsumerOrder(true))
	must(own.Subscribe(topic, consumer.MessageSelector{}, func(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		lock.Lock()
		defer lock.Unlock()
		for _, message := range messages {
			seen[message.Queue.QueueId] = append(seen[message.Queue.QueueId], string(message.Body))
			count++
		}
		return consumer.ConsumeSuccess, nil
	}), "subscribe")
	must(own.Start(), "start")
	hashing := s.ownProducer(producer.WithQueueSelector(producer.NewHashQueueSelector()))
	sent := map[int][]string{}
	for i := 0; i < 60; i++ {
		body := fmt.Sprintf("m%d", i)
		result, err := hashing.SendSync(background, primitive.NewMessage(topic, []byte(body)).WithShardingKey(fmt.Sprint("order-", i%10)))
		must(err, "send")
		sent[result.MessageQueue.QueueId] = append(sent[result.MessageQueue.QueueId], body)
	}
	eventually("60 messages", func() bool {
		lock.Lock()
		defer lock.Unlock()
		return count >= 60
	}, func() any { lock.Lock(); defer lock.Unlock(); return fmt.Sprint(count, seen) })
	lock.Lock()
	defer lock.Unlock()
	equal(sent, seen, "messages by queue")
}

func pullOffsets(s *stage) {
	topic := s.topic("t", 1)
	s.sendNumbered(topic, "A", 0, 50)
	s.readAll(topic, 50)
	queue := s.queues(topic)[0]
	reader := s.pull("g", topic, "*")
	some, err := reader.PullFrom(background, queue, 10, 7)
	must(err, "pull")
	equal(primitive.PullFound, some.Status, "status in the middle")
	equal(7, len(some.GetMessageExts()), "messages when 7 are wanted")
	equal(int64(17), some.NextBeginOffset, "next offset")
	end, err := reader.PullFrom(background, queue, 50, 32)
	must(err, "pull")
	equal(primitive.PullNoNewMsg, end.Status, "status at the end")
	beyond, err := reader.PullFrom(background, queue, 1000, 32)
	must(err, "pull")
	equal(primitive.PullOffsetIllegal, beyond.Status, "status beyond the end")
	equal(int64(50), beyond.NextBeginOffset, "corrected offset")
}

func pullFilter(s *stage) {
	topic := s.topic("t", 1)
	var wanted []string
	for i := 0; i < 30; i += 3 {
		wanted = append(wanted, s.sendNumbered(topic, "fizz", i, 1)...)
		s.sendNumbered(topic, "plain", i+1, 2)
	}
	s.readAll(topic, 30)
	reader := s.pull("g", topic, "fizz")
	queue := s.queues(topic)[0]
	var got []string
	for next := int64(0); next < 30; {
		result, err := reader.PullFrom(background, queue, next, 32)
		must(err, "pull")
		for _, message := range result.GetMessageExts() {
			got = append(got, string(message.Body))
		}
		check(result.NextBeginOffset > next, "no progress at %d", next)
		next = result.NextBeginOffset
	}
	equal(wanted, got, "filtered messages")
}

func pullGroupOffset(s *stage) {
	topic := s.topic("t", 1)
	s.sendNumbered(topic, "A", 0, 10)
	queue := s.queues(topic)[0]
	first := s.pull("g", topic, "*")
	eventually("the queue is owned", func() bool {
		_, err := first.Poll(background, time.Second)
		return err == nil
	}, func() any { return "nothing polled" })
	must(first.UpdateOffset(queue, 7), "update the offset")
	must(first.PersistOffset(background, topic), "persist the offset")
	must(first.Shutdown(), "shutdown")
	again := s.pull("g", topic, "*")
	eventually("offset 7 after a restart", func() bool {
		offset, err := again.CurrentOffset(queue)
		return err == nil && offset == 7
	}, func() any { offset, err := again.CurrentOffset(queue); return fmt.Sprint(offset, err) })
}

func pullPoll(s *stage) {
	topic := s.topic("t", 2)
	sent := s.sendNumbered(topic, "A", 0, 20)
	reader := s.pull("g", topic, "*")
	got := map[string]bool{}
	eventually("20 polled messages", func() bool {
		request, err := reader.Poll(background, time.Second)
		if err != nil {
			return false
		}
		for _, message := range request.GetMsgList() {
			got[string(message.Body)] = true
		}
		reader.ACK(background, request, consumer.ConsumeSuccess)
		return len(got) == len(sent)
	}, func() any { return got })
}
