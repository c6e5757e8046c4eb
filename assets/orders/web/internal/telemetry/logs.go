package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	waitingLines = 2000
	linesAtOnce  = 500
	logInterval  = 2 * time.Second
	// Troubles of sending are told this often, and never through the logs that cannot be sent.
	tellInterval = time.Minute
)

type line struct {
	at   time.Time
	text string
}

// Logs takes lines as an io.Writer and sends them to a Loki.
type Logs struct {
	endpoint *Endpoint
	instance string
	waiting  chan line
	dropped  atomic.Int64
}

// NewLogs makes logs of this instance that go to an endpoint.
func NewLogs(endpoint *Endpoint, instance string) *Logs {
	return &Logs{endpoint: endpoint, instance: instance, waiting: make(chan line, waitingLines)}
}

// Write takes one line. It never waits and never fails.
func (l *Logs) Write(text []byte) (int, error) {
	select {
	case l.waiting <- line{at: time.Now(), text: strings.TrimRight(string(text), "\n")}:
	default:
		l.dropped.Add(1)
	}
	return len(text), nil
}

// Run sends what was written until the context ends, and the rest then.
func (l *Logs) Run(ctx context.Context, troubles io.Writer) {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	told := time.Time{}
	for {
		last := false
		select {
		case <-ctx.Done():
			last = true
		case <-tick.C:
		}
		for lines := l.take(); len(lines) > 0; lines = l.take() {
			// The program may be ending: what it said last is what people look for.
			sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
			err := l.endpoint.post(sending, map[string]string{"Content-Type": "application/json"}, l.body(lines))
			cancel()
			if err != nil {
				dropped := l.dropped.Add(int64(len(lines)))
				if time.Since(told) >= tellInterval {
					fmt.Fprintf(troubles, "logs cannot be sent, %d lines dropped so far: %v\n", dropped, err)
					told = time.Now()
				}
				break
			}
		}
		if last {
			return
		}
	}
}

func (l *Logs) take() []line {
	var lines []line
	for len(lines) < linesAtOnce {
		select {
		case one := <-l.waiting:
			lines = append(lines, one)
		default:
			return lines
		}
	}
	return lines
}

// body is one stream of Loki's push API.
func (l *Logs) body(lines []line) []byte {
	values := make([][2]string, 0, len(lines))
	for _, one := range lines {
		values = append(values, [2]string{strconv.FormatInt(one.at.UnixNano(), 10), one.text})
	}
	type stream struct {
		Labels map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	labels := map[string]string{"app": "orders", "instance": l.instance}
	body, err := json.Marshal(map[string][]stream{"streams": {{Labels: labels, Values: values}}})
	if err != nil {
		panic(err) // strings alone
	}
	return body
}
