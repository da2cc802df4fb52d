package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

func retryScenarios() []scenario {
	return []scenario{
		{"retry-once", retryOnce},
		{"retry-to-dead-letter", retryToDeadLetter},
	}
}

func adminScenarios() []scenario {
	return []scenario{
		{"topic-create-list-delete", topicCreateListDelete},
		{"topic-create-delete", topicCreateDelete},
		{"group-list", groupList},
	}
}

// attempts records how often each message was delivered.
type attempts struct {
	lock  sync.Mutex
	times []int32
}

func (a *attempts) seen() []int32 {
	a.lock.Lock()
	defer a.lock.Unlock()
	return append([]int32(nil), a.times...)
}

// refuse answers "later" until a message was refused refusals times; it comes again after a second.
func (a *attempts) refuse(refusals int32) func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		a.lock.Lock()
		defer a.lock.Unlock()
		a.times = append(a.times, messages[0].ReconsumeTimes)
		if messages[0].ReconsumeTimes >= refusals {
			return consumer.ConsumeSuccess, nil
		}
		if concurrently, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			concurrently.DelayLevelWhenNextConsume = 1
		}
		return consumer.ConsumeRetryLater, nil
	}
}

// prepareRetries makes the group's retry topic known: a consumer looks for new queues every 20 seconds only.
func (s *stage) prepareRetries(group, topic string) {
	var none collected
	first := s.collect(group, topic, "*", &none)
	eventually("route of the retry topic", func() bool {
		queues, err := s.admin.FetchPublishMessageQueues(background, "%RETRY%"+s.name(group))
		return err == nil && len(queues) > 0
	}, func() any { return "none" })
	must(first.Shutdown(), "shutdown")
}

func retryOnce(s *stage) {
	topic := s.topic("t", 1)
	s.prepareRetries("g", topic)
	var tries attempts
	own := s.push("g")
	must(own.Subscribe(topic, consumer.MessageSelector{}, tries.refuse(1)), "subscribe")
	must(own.Start(), "start")
	s.sendNumbered(topic, "A", 0, 1)
	eventually("second delivery", func() bool { return len(tries.seen()) >= 2 }, func() any { return tries.seen() })
	equal([]int32{0, 1}, tries.seen(), "reconsume times")
}

func retryToDeadLetter(s *stage) {
	topic := s.topic("t", 1)
	s.prepareRetries("g", topic)
	var tries attempts
	own := s.push("g", consumer.WithMaxReconsumeTimes(1))
	must(own.Subscribe(topic, consumer.MessageSelector{}, tries.refuse(1000)), "subscribe")
	must(own.Start(), "start")
	sent := s.sendNumbered(topic, "A", 0, 1)
	dead := "%DLQ%" + s.name("g")
	eventually("the dead-letter topic", func() bool {
		queues, err := s.admin.FetchPublishMessageQueues(background, dead)
		return err == nil && len(queues) > 0
	}, func() any { return tries.seen() })
	equal(sent[0], string(s.readAll(dead, 1)[0].Body), "body of the dead letter")
	equal([]int32{0, 1}, tries.seen(), "reconsume times")
}

func topicCreateListDelete(s *stage) {
	topic := s.topic("t", 5)
	list, err := s.admin.FetchAllTopicList(background)
	must(err, "list of topics")
	check(contains(list.TopicList, topic), "%s is not in the list", topic)
	s.sendNumbered(topic, "A", 0, 5)
	must(s.admin.DeleteTopic(background, admin.WithTopicDelete(topic), admin.WithBrokerAddrDelete(s.broker)), "delete")
	eventually("the topic is gone from the list", func() bool {
		list, err := s.admin.FetchAllTopicList(background)
		return err == nil && !contains(list.TopicList, topic)
	}, func() any { return "still there" })
}

// topicCreateDelete leaves it to the client to find the broker: it asks for the route once, right after the creation.
func topicCreateDelete(s *stage) {
	topic := s.name("t")
	must(s.admin.CreateTopic(background, admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(s.broker)), "create")
	must(s.admin.DeleteTopic(background, admin.WithTopicDelete(topic)), "delete")
}

func groupList(s *stage) {
	topic := s.topic("t", 1)
	var seen collected
	s.collect("g", topic, "*", &seen)
	seen.await(s.sendNumbered(topic, "A", 0, 1))
	groups, err := s.admin.GetAllSubscriptionGroup(background, s.broker, 5*time.Second)
	must(err, "list of groups")
	var names []string
	for name := range groups.SubscriptionGroupTable {
		names = append(names, name)
	}
	check(contains(names, s.name("g")), "%s is not among %s", s.name("g"), fmt.Sprint(len(names), " groups: ", strings.Join(names, " ")))
}

func contains(words []string, word string) bool {
	for _, one := range words {
		if one == word {
			return true
		}
	}
	return false
}
