// The official Go client against any RocketMQ-compatible endpoint; see ../README.md.
//
//	go run . [all|list|scenario…] --namesrv host:port [--threads n]
//	go run . endure --topic T --seconds n --namesrv host:port;host:port
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

// scenario is one program against the endpoint.
type scenario struct {
	name string
	run  func(*stage)
}

// scenarioLimit bounds one scenario; a client that hangs must not hang the run.
const scenarioLimit = 120 * time.Second

func scenarios() []scenario {
	var all []scenario
	all = append(all, sendScenarios()...)
	all = append(all, consumeScenarios()...)
	all = append(all, retryScenarios()...)
	all = append(all, classicScenarios()...)
	all = append(all, timerScenarios()...)
	all = append(all, quotaScenarios()...)
	return append(all, adminScenarios()...)
}

func main() {
	nameServer := flag.String("namesrv", "127.0.0.1:9876", "addresses of the name servers, separated by semicolons")
	apache := flag.Bool("apache", false, "the brokers are Apache's: where they are known to do less, less is expected")
	threads := flag.Int("threads", 8, "scenarios that run side by side")
	topic := flag.String("topic", "endure", "endure: a topic that exists")
	seconds := flag.Int("seconds", 60, "endure: how long messages are sent")
	what := parse()
	if os.Getenv("ROCKETMQ_GO_LOG_LEVEL") == "" {
		rlog.SetLogLevel("fatal")
	}
	isEnduring := len(what) == 1 && what[0] == "endure"
	var chosen []scenario
	if !isEnduring {
		chosen = choose(what)
	}
	if chosen == nil && !isEnduring {
		return
	}
	begin := time.Now()
	point, err := open(*nameServer)
	if err != nil {
		fmt.Println("FAIL connect:", err)
		fmt.Println("0 passed, 1 failed")
		os.Exit(1)
	}
	point.peer = *apache
	if isEnduring {
		if !endure(point, *topic, *seconds) {
			os.Exit(1)
		}
		return
	}
	passed, failed := play(point, chosen, *threads)
	fmt.Printf("took %.1f s\n", time.Since(begin).Seconds())
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}

// parse lets scenario names come before and after the flags.
func parse() []string {
	var words []string
	rest := os.Args[1:]
	for len(rest) > 0 {
		if !strings.HasPrefix(rest[0], "-") {
			words, rest = append(words, rest[0]), rest[1:]
			continue
		}
		if err := flag.CommandLine.Parse(rest); err != nil {
			os.Exit(2)
		}
		rest = flag.Args()
	}
	return words
}

func choose(what []string) []scenario {
	var chosen []scenario
	if len(what) == 0 || what[0] == "list" {
		for _, s := range scenarios() {
			fmt.Println(s.name)
		}
		return nil
	}
	for _, word := range what {
		found := false
		for _, s := range scenarios() {
			if word == "all" || word == s.name {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			fmt.Fprintf(os.Stderr, "no scenario named %s; `list` shows them\n", word)
			os.Exit(2)
		}
	}
	return chosen
}

func play(point *endpoint, chosen []scenario, threads int) (passed, failed int) {
	work := make(chan scenario)
	var all sync.WaitGroup
	var lock sync.Mutex
	for i := 0; i < threads; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for s := range work {
				begin := time.Now()
				why := attempt(point, s)
				lock.Lock()
				if why == nil {
					passed++
					fmt.Printf("PASS %s (%.1f s)\n", s.name, time.Since(begin).Seconds())
				} else {
					failed++
					fmt.Printf("FAIL %s: %v (%.1f s)\n", s.name, why, time.Since(begin).Seconds())
				}
				lock.Unlock()
			}
		}()
	}
	for _, s := range chosen {
		work <- s
	}
	close(work)
	all.Wait()
	return passed, failed
}

// attempt runs one scenario; its checks end it by a panic with a failure.
func attempt(point *endpoint, s scenario) error {
	done := make(chan error, 1)
	go func() {
		stage := &stage{endpoint: point, prefix: point.run + "-" + s.name}
		defer func() {
			fault := recover()
			stage.close()
			switch fault := fault.(type) {
			case nil:
				done <- nil
			case failure:
				done <- fault
			default:
				panic(fault)
			}
		}()
		s.run(stage)
	}()
	select {
	case why := <-done:
		return why
	case <-time.After(scenarioLimit):
		return fmt.Errorf("not done within %v", scenarioLimit)
	}
}
