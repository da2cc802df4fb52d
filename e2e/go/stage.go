package main

import (
	"context"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

const (
	// patience is generous enough for a loaded machine, and for what this client itself takes: it looks at routes every
	// 30 s, and never gives back the lock of a queue that another member is to have, so that only its end after 60 s
	// and the next look of that member, up to 20 s later, bring the queue there.
	patience = 100 * time.Second
	// quiet is how long nothing more may arrive before a set is taken as complete.
	quiet      = 700 * time.Millisecond
	lookAgain  = 20 * time.Millisecond
	readWrite  = 6
	sendWithin = 10 * time.Second
)

var background = context.Background()

// failure ends a scenario.
type failure string

func (f failure) Error() string { return string(f) }

func check(holds bool, format string, args ...any) {
	if !holds {
		panic(failure(fmt.Sprintf(format, args...)))
	}
}

func must(err error, what string) {
	check(err == nil, "%s: %v", what, err)
}

func equal(expected, actual any, what string) {
	check(reflect.DeepEqual(expected, actual), "%s: expected %v, got %v", what, expected, actual)
}

func eventually(what string, holds func() bool, seen func() any) {
	deadline := time.Now().Add(patience)
	for !holds() {
		check(time.Now().Before(deadline), "%s not within %v; seen: %v", what, patience, seen())
		time.Sleep(lookAgain)
	}
}

// endpoint is the cluster under test and the clients that all scenarios share.
type endpoint struct {
	nameServer string
	run        string
	broker     string
	producer   rocketmq.Producer
	admin      admin.Admin
	instances  atomic.Int64
	peer       bool
}

func open(nameServer string) (*endpoint, error) {
	point := &endpoint{nameServer: nameServer, run: "go" + strconv.FormatInt(time.Now().UnixMilli(), 36)}
	var err error
	point.admin, err = admin.NewAdmin(admin.WithResolver(point.resolver()))
	if err != nil {
		return nil, err
	}
	point.producer, err = rocketmq.NewProducer(point.producerOptions("p-" + point.run)...)
	if err != nil {
		return nil, err
	}
	if err = point.producer.Start(); err != nil {
		return nil, err
	}
	point.broker, err = point.findBroker()
	return point, err
}

func (p *endpoint) resolver() primitive.NsResolver {
	return primitive.NewPassthroughResolver(strings.Split(p.nameServer, ";"))
}

func (p *endpoint) instance() string {
	return fmt.Sprintf("%s-%d", p.run, p.instances.Add(1))
}

func (p *endpoint) producerOptions(group string) []producer.Option {
	return []producer.Option{
		producer.WithNsResolver(p.resolver()), producer.WithGroupName(group), producer.WithInstanceName(p.instance()),
		producer.WithSendMsgTimeout(sendWithin), producer.WithRetry(2),
	}
}

// findBroker learns the broker's address, which this admin client cannot ask for, from the identifier of a message.
func (p *endpoint) findBroker() (string, error) {
	sent, err := p.producer.SendSync(background, primitive.NewMessage(p.run+"-first", []byte("where are you")))
	if err != nil {
		return "", fmt.Errorf("first message (to an automatically created topic): %w", err)
	}
	id, err := primitive.UnmarshalMsgID([]byte(sent.OffsetMsgID))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s:%d", id.Addr, id.Port), nil
}

// stage is what one scenario works with: its own names, and clients that end with it.
type stage struct {
	*endpoint
	prefix  string
	endings []func() error
}

func (s *stage) close() {
	for i := len(s.endings) - 1; i >= 0; i-- {
		_ = s.endings[i]()
	}
}

func (s *stage) name(what string) string { return s.prefix + "-" + what }

// topic creates a topic and waits until its route is known.
func (s *stage) topic(what string, queues int) string {
	topic := s.name(what)
	s.createTopic(topic, queues)
	return topic
}

func (s *stage) createTopic(topic string, queues int) {
	must(s.admin.CreateTopic(background, admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(s.broker),
		admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues), admin.WithPerm(readWrite)), "create "+topic)
	s.awaitRoute(topic, queues)
}

func (s *stage) awaitRoute(topic string, queues int) {
	eventually("route of "+topic, func() bool {
		all, err := s.admin.FetchPublishMessageQueues(background, topic)
		return err == nil && len(all) == queues
	}, func() any { return "none" })
}

func (s *stage) queues(topic string) []*primitive.MessageQueue {
	all, err := s.admin.FetchPublishMessageQueues(background, topic)
	must(err, "queues of "+topic)
	sort.Slice(all, func(i, j int) bool { return all[i].QueueId < all[j].QueueId })
	return all
}

func (s *stage) send(message *primitive.Message) *primitive.SendResult {
	sent, err := s.producer.SendSync(background, message)
	must(err, "send")
	equal(primitive.SendOK, sent.Status, "status")
	return sent
}

// sendNumbered sends count messages with bodies m<from>, … and returns the bodies.
func (s *stage) sendNumbered(topic, tag string, from, count int) []string {
	var bodies []string
	for i := from; i < from+count; i++ {
		body := fmt.Sprintf("m%d", i)
		message := primitive.NewMessage(topic, []byte(body))
		if tag != "" {
			message.WithTag(tag)
		}
		s.send(message)
		bodies = append(bodies, body)
	}
	return bodies
}

func (s *stage) ownProducer(options ...producer.Option) rocketmq.Producer {
	own, err := rocketmq.NewProducer(append(s.producerOptions(s.name("p")), options...)...)
	must(err, "new producer")
	must(own.Start(), "start producer")
	s.endings = append(s.endings, own.Shutdown)
	return own
}

func (s *stage) push(group string, options ...consumer.Option) rocketmq.PushConsumer {
	all := []consumer.Option{
		consumer.WithNsResolver(s.resolver()), consumer.WithGroupName(s.name(group)), consumer.WithInstance(s.instance()),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset),
	}
	own, err := rocketmq.NewPushConsumer(append(all, options...)...)
	must(err, "new push consumer")
	s.endings = append(s.endings, own.Shutdown)
	return own
}

// collect starts a push consumer that puts everything it gets into seen.
func (s *stage) collect(group, topic, filter string, seen *collected, options ...consumer.Option) rocketmq.PushConsumer {
	own := s.push(group, options...)
	must(own.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: filter}, seen.listen), "subscribe")
	must(own.Start(), "start push consumer")
	return own
}

// pull starts a pull consumer of one topic.
func (s *stage) pull(group, topic, filter string) rocketmq.PullConsumer {
	own, err := rocketmq.NewPullConsumer(consumer.WithNsResolver(s.resolver()), consumer.WithGroupName(s.name(group)),
		consumer.WithInstance(s.instance()))
	must(err, "new pull consumer")
	must(own.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: filter}), "subscribe")
	must(own.Start(), "start pull consumer")
	s.endings = append(s.endings, own.Shutdown)
	return own
}

// readAll reads a topic queue by queue and checks that offsets are dense.
func (s *stage) readAll(topic string, count int) []*primitive.MessageExt {
	reader := s.pull("reader", topic, "*")
	var all []*primitive.MessageExt
	eventually(fmt.Sprintf("%d messages in %s", count, topic), func() bool {
		all = nil
		for _, queue := range s.queues(topic) {
			all = append(all, readQueue(reader, queue)...)
		}
		return len(all) >= count
	}, func() any { return len(all) })
	equal(count, len(all), "messages in "+topic)
	return all
}

func readQueue(reader rocketmq.PullConsumer, queue *primitive.MessageQueue) []*primitive.MessageExt {
	var all []*primitive.MessageExt
	max := endOf(reader, queue)
	for next := int64(0); next < max; {
		got, err := reader.PullFrom(background, queue, next, 32)
		must(err, "pull")
		equal(primitive.PullFound, got.Status, fmt.Sprint("status at ", next, " below ", max))
		for _, message := range got.GetMessageExts() {
			equal(next, message.QueueOffset, "offset in "+queue.String())
			next++
			all = append(all, message)
		}
		equal(next, got.NextBeginOffset, "next offset of "+queue.String())
	}
	return all
}

// endOf asks where a queue ends by pulling beyond it, which is answered at once; this client has no other question for it.
func endOf(reader rocketmq.PullConsumer, queue *primitive.MessageQueue) int64 {
	beyond, err := reader.PullFrom(background, queue, 1<<40, 1)
	must(err, "pull beyond the end")
	equal(primitive.PullOffsetIllegal, beyond.Status, "status beyond the end")
	return beyond.NextBeginOffset
}

// collected holds what listeners were given, in the order of arrival.
type collected struct {
	lock     sync.Mutex
	messages []*primitive.MessageExt
}

func (c *collected) listen(_ context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.messages = append(c.messages, messages...)
	return consumer.ConsumeSuccess, nil
}

func (c *collected) all() []*primitive.MessageExt {
	c.lock.Lock()
	defer c.lock.Unlock()
	return append([]*primitive.MessageExt(nil), c.messages...)
}

func (c *collected) bodies() []string {
	var bodies []string
	for _, message := range c.all() {
		bodies = append(bodies, string(message.Body))
	}
	return bodies
}

func (c *collected) await(expected []string) {
	eventually(fmt.Sprintf("delivery of %d messages", len(expected)), func() bool {
		got := map[string]bool{}
		for _, body := range c.bodies() {
			got[body] = true
		}
		for _, body := range expected {
			if !got[body] {
				return false
			}
		}
		return true
	}, func() any { return fmt.Sprint(len(c.bodies()), " deliveries: ", c.bodies()) })
}

// awaitExactly waits for all of expected, then a little longer to see that nothing else and nothing twice arrives.
func (c *collected) awaitExactly(expected []string) {
	c.await(expected)
	time.Sleep(quiet)
	equal(sorted(expected), sorted(c.bodies()), "received bodies")
}

func sorted(words []string) []string {
	all := append([]string{}, words...)
	sort.Strings(all)
	return all
}
