package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

const (
	endurePause = 20 * time.Millisecond
	// drainLimit covers a broker that was just started and this client's look at routes every 30 s.
	drainLimit = 2 * time.Minute
)

// endure sends to a topic that exists and consumes from it, by two members of a group, by a third that refuses each message
// once and by one that broadcasts, while somebody restarts brokers and name servers. Everything acknowledged must arrive.
func endure(point *endpoint, topic string, seconds int) bool {
	s := &stage{endpoint: point, prefix: point.run + "-endure"}
	defer s.close()
	readers := map[string]*collected{"group": {}, "refusing": {}, "broadcast": {}}
	s.collect("g", topic, "*", readers["group"])
	s.collect("g", topic, "*", readers["group"])
	s.collect("b", topic, "*", readers["broadcast"], consumer.WithConsumerModel(consumer.BroadCasting))
	refusing := s.push("refusing")
	must(refusing.Subscribe(topic, consumer.MessageSelector{}, refuseOnce(readers["refusing"])), "subscribe")
	must(refusing.Start(), "start push consumer")

	fmt.Println("enduring")
	sent, refused := sendUntil(s, topic, time.Now().Add(time.Duration(seconds)*time.Second))
	begin := time.Now()
	for time.Since(begin) < drainLimit && len(missing(sent, readers)) > 0 {
		time.Sleep(lookAgain)
	}
	fmt.Printf("%d acknowledged, %d refused, drained in %.1f s\n", len(sent), refused, time.Since(begin).Seconds())
	lost := missing(sent, readers)
	for name, bodies := range lost {
		fmt.Printf("FAULT %s was not given %d, as %s\n", name, len(bodies), bodies[0])
	}
	return len(lost) == 0
}

// refuseOnce keeps what comes for the second time.
func refuseOnce(seen *collected) func(context.Context, ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	return func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
		if messages[0].ReconsumeTimes > 0 {
			return seen.listen(ctx, messages...)
		}
		if concurrently, ok := primitive.GetConcurrentlyCtx(ctx); ok {
			concurrently.DelayLevelWhenNextConsume = 1
		}
		return consumer.ConsumeRetryLater, nil
	}
}

func sendUntil(s *stage, topic string, end time.Time) (sent []string, refused int) {
	var lock sync.Mutex
	var all sync.WaitGroup
	for sender := 0; sender < 2; sender++ {
		all.Add(1)
		go func(sender int) {
			defer all.Done()
			for i := 0; time.Now().Before(end); i++ {
				body := fmt.Sprintf("%d-%d", sender, i)
				_, err := s.producer.SendSync(background, primitive.NewMessage(topic, []byte(body)))
				lock.Lock()
				if err == nil {
					sent = append(sent, body)
				} else {
					refused++
				}
				lock.Unlock()
				time.Sleep(endurePause)
			}
		}(sender)
	}
	all.Wait()
	return sent, refused
}

// missing tells what each reader was not given yet.
func missing(sent []string, readers map[string]*collected) map[string][]string {
	lost := map[string][]string{}
	for name, reader := range readers {
		got := map[string]bool{}
		for _, body := range reader.bodies() {
			got[body] = true
		}
		for _, body := range sent {
			if !got[body] {
				lost[name] = append(lost[name], body)
			}
		}
	}
	return lost
}
