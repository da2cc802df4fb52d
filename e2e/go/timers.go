package main

import (
	"reflect"
	"strconv"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const (
	// apachePrecision: Apache's wheel turns once a second, and delivers up to one turn early.
	apachePrecision = time.Second
	// lateLimit: later than this is wrong on any machine.
	lateLimit  = 10 * time.Second
	threeDays  = 3 * 24 * time.Hour
	delayLevel = "DELAY"
	delaySec   = "TIMER_DELAY_SEC"
	delayMs    = "TIMER_DELAY_MS"
	deliverMs  = "TIMER_DELIVER_MS"
)

// Messages that are delivered at a time.
func timerScenarios() []scenario {
	return []scenario{
		{"timer-delay-level", func(s *stage) { waits(s, delayLevel, "2", 5*time.Second) }},
		{"timer-delay-seconds", func(s *stage) { waits(s, delaySec, "2", 2*time.Second) }},
		{"timer-delay-millis", func(s *stage) { waits(s, delayMs, "1500", 1500*time.Millisecond) }},
		{"timer-deliver-at", timerDeliverAt},
		{"timer-order", timerOrder},
		{"timer-beyond-horizon", timerBeyondHorizon},
	}
}

func timed(topic, body, property, value string) *primitive.Message {
	message := primitive.NewMessage(topic, []byte(body)).WithTag("A").WithKeys([]string{"key"})
	message.WithProperty(property, value)
	message.WithProperty("mine", "kept")
	return message
}

func inMillis(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

func waits(s *stage, property, value string, delay time.Duration) {
	topic := s.topic("t", 1)
	arrives(s, topic, func() (*primitive.Message, time.Time) {
		return timed(topic, "m", property, value), time.Now().Add(delay)
	})
}

func timerDeliverAt(s *stage) {
	topic := s.topic("t", 1)
	arrives(s, topic, func() (*primitive.Message, time.Time) {
		due := time.Now().Add(2500 * time.Millisecond)
		return timed(topic, "m", deliverMs, inMillis(due)), due
	})
}

// arrives: the message comes once, with all it had, and not before its time.
func arrives(s *stage, topic string, message func() (*primitive.Message, time.Time)) {
	var seen collected
	s.collect("g", topic, "*", &seen)
	sent, due := message()
	s.send(sent)
	seen.awaitExactly([]string{"m"})
	got := seen.all()[0]
	late := time.Duration(got.StoreTimestamp-due.UnixMilli()) * time.Millisecond
	early := time.Duration(0)
	if s.peer {
		early = apachePrecision
	}
	check(late >= -early, "%v too early", -late)
	check(late < lateLimit, "%v late", late)
	equal(topic, got.Topic, "topic")
	equal("A", got.GetTags(), "tags")
	equal("key", got.GetKeys(), "keys")
	equal("kept", got.GetProperty("mine"), "property")
}

// timerOrder: what is due earlier comes earlier, whoever was sent first.
func timerOrder(s *stage) {
	topic := s.topic("t", 1)
	now := time.Now()
	for _, seconds := range []int{6, 2, 4} {
		s.send(timed(topic, "m"+strconv.Itoa(seconds), deliverMs, inMillis(now.Add(time.Duration(seconds)*time.Second))))
	}
	var seen collected
	s.collect("g", topic, "*", &seen)
	seen.awaitExactly([]string{"m2", "m4", "m6"})
	check(reflect.DeepEqual([]string{"m2", "m4", "m6"}, seen.bodies()), "order: %v", seen.bodies())
}

func timerBeyondHorizon(s *stage) {
	topic := s.topic("t", 1)
	late := threeDays + time.Minute
	for _, message := range []*primitive.Message{
		timed(topic, "m", delaySec, strconv.Itoa(int(late.Seconds()))),
		timed(topic, "m", delayMs, strconv.Itoa(int(late.Milliseconds()))),
		timed(topic, "m", deliverMs, inMillis(time.Now().Add(late))),
	} {
		sent, err := s.producer.SendSync(background, message)
		check(err != nil || sent.Status != primitive.SendOK, "a time beyond the horizon was accepted: %v", sent)
	}
}
