package telemetry

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"time"
)

const metricsInterval = 15 * time.Second

// Metrics counts answers and sends the counts to a Prometheus, or to whatever takes its remote write.
type Metrics struct {
	endpoint *Endpoint
	instance string
	mutex    sync.Mutex
	answers  map[int]float64 // by status
	seconds  float64
}

// NewMetrics makes measurements of this instance that go to an endpoint.
func NewMetrics(endpoint *Endpoint, instance string) *Metrics {
	return &Metrics{endpoint: endpoint, instance: instance, answers: map[int]float64{}}
}

// Observe counts an answer.
func (m *Metrics) Observe(status int, took time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.answers[status]++
	m.seconds += took.Seconds()
}

// Run sends the counts until the context ends.
func (m *Metrics) Run(ctx context.Context, troubles io.Writer) {
	tick := time.NewTicker(metricsInterval)
	defer tick.Stop()
	told := time.Time{}
	for {
		if err := m.send(ctx); err != nil && ctx.Err() == nil && time.Since(told) >= tellInterval {
			fmt.Fprintf(troubles, "measurements cannot be sent: %v\n", err)
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (m *Metrics) send(ctx context.Context) error {
	header := map[string]string{
		"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0",
	}
	return m.endpoint.post(ctx, header, literal(m.request(time.Now())))
}

// request is a WriteRequest of Prometheus' remote write 1.0: field 1 of it is a series, with labels
// (field 1: name and value) in the order of their names, and samples (field 2: value and time).
func (m *Metrics) request(now time.Time) []byte {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var out []byte
	add := func(name string, value float64, labels ...string) {
		var series []byte
		all := append([]string{"__name__", name, "instance", m.instance, "job", "orders"}, labels...)
		for at := 0; at < len(all); at += 2 {
			label := field(field(nil, 1, []byte(all[at])), 2, []byte(all[at+1]))
			series = field(series, 1, label)
		}
		sample := append([]byte{1<<3 | 1}, binary.LittleEndian.AppendUint64(nil, math.Float64bits(value))...)
		sample = append(sample, 2<<3)
		sample = binary.AppendUvarint(sample, uint64(now.UnixMilli()))
		out = field(out, 1, field(series, 2, sample))
	}
	add("orders_up", 1)
	add("orders_http_seconds_total", m.seconds)
	for status, count := range m.answers {
		add("orders_http_answers_total", count, "status", strconv.Itoa(status))
	}
	return out
}

// field appends bytes as field number of a protobuf message.
func field(message []byte, number byte, content []byte) []byte {
	message = append(message, number<<3|2)
	message = binary.AppendUvarint(message, uint64(len(content)))
	return append(message, content...)
}

// literal is a Snappy block that holds its content as it is: a few hundred bytes need no compression.
// Its length as a varint, then runs of at most 64 KiB: a tag for a length of two bytes, length less one.
func literal(content []byte) []byte {
	const run = 1 << 16
	out := binary.AppendUvarint(nil, uint64(len(content)))
	for len(content) > 0 {
		part := content[:min(run, len(content))]
		out = append(out, 61<<2, byte(len(part)-1), byte((len(part)-1)>>8))
		out = append(out, part...)
		content = content[len(part):]
	}
	return out
}
