package telemetry

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// receiver takes what is posted with the right login, over TLS.
func receiver(t *testing.T) (*Endpoint, chan *http.Request, chan []byte) {
	t.Helper()
	requests, bodies := make(chan *http.Request, 10), make(chan []byte, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "orders" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- body
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string][]byte{"ca.pem": authority, "password": []byte("secret\n")} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TEST_URL", server.URL+"/push")
	t.Setenv("TEST_USER", "orders")
	t.Setenv("TEST_PASSWORD_FILE", filepath.Join(folder, "password"))
	t.Setenv("TEST_CA_FILE", filepath.Join(folder, "ca.pem"))
	endpoint, err := FromEnvironment("TEST")
	if err != nil {
		t.Fatal(err)
	}
	return endpoint, requests, bodies
}

func TestNoURLIsNoEndpoint(t *testing.T) {
	if endpoint, err := FromEnvironment("NOTHING"); endpoint != nil || err != nil {
		t.Fatal(endpoint, err)
	}
	t.Setenv("BROKEN_URL", "https://logs")
	t.Setenv("BROKEN_CA_FILE", filepath.Join(t.TempDir(), "missing"))
	if _, err := FromEnvironment("BROKEN"); err == nil || !strings.Contains(err.Error(), "authority of BROKEN_URL") {
		t.Fatal(err)
	}
}

func TestLogsAreSentToTheirLast(t *testing.T) {
	endpoint, requests, bodies := receiver(t)
	logs := NewLogs(endpoint, "web-1")
	for _, text := range []string{"first\n", "second \"line\"\n"} {
		if _, err := logs.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	var troubles bytes.Buffer
	logs.Run(ended, &troubles)
	if request := <-requests; request.URL.Path != "/push" || request.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %v", request.URL, request.Header)
	}
	var body struct {
		Streams []struct {
			Stream map[string]string
			Values [][2]string
		}
	}
	if err := json.Unmarshal(<-bodies, &body); err != nil {
		t.Fatal(err)
	}
	stream := body.Streams[0]
	if stream.Stream["instance"] != "web-1" || len(stream.Values) != 2 || stream.Values[1][1] != `second "line"` || troubles.Len() != 0 {
		t.Fatalf("%+v, troubles %s", body, troubles.String())
	}
}

func TestLogsThatCannotBeSentAreCountedAndTold(t *testing.T) {
	endpoint, _, _ := receiver(t)
	endpoint.User = "nobody"
	logs := NewLogs(endpoint, "web-1")
	for range waitingLines + 5 {
		_, _ = logs.Write([]byte("line\n"))
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	var troubles bytes.Buffer
	logs.Run(ended, &troubles)
	if !strings.Contains(troubles.String(), "505 lines dropped so far: status 401") {
		t.Fatal(troubles.String())
	}
}

// samples reads a remote write back: name with status, and value.
func samples(t *testing.T, block []byte) string {
	t.Helper()
	length, size := binary.Uvarint(block)
	var content []byte
	for rest := block[size:]; len(rest) > 0; {
		if rest[0] != 61<<2 {
			t.Fatalf("tag %#x", rest[0])
		}
		run := int(binary.LittleEndian.Uint16(rest[1:])) + 1
		content = append(content, rest[3:3+run]...)
		rest = rest[3+run:]
	}
	if uint64(len(content)) != length {
		t.Fatalf("%d bytes, said %d", len(content), length)
	}
	return string(content)
}

func TestMeasurementsAreSentAsRemoteWrite(t *testing.T) {
	endpoint, requests, bodies := receiver(t)
	metrics := NewMetrics(endpoint, "web-1")
	metrics.Observe(http.StatusCreated, 20*time.Millisecond)
	if err := metrics.send(t.Context()); err != nil {
		t.Fatal(err)
	}
	if request := <-requests; request.Header.Get("Content-Encoding") != "snappy" {
		t.Fatal(request.Header)
	}
	content := samples(t, <-bodies)
	for _, part := range []string{"orders_up", "orders_http_answers_total", "\x12\x03201", "\n\binstance\x12\x05web-1"} {
		if !strings.Contains(content, part) {
			t.Errorf("%q is not in %q", part, content)
		}
	}
}

func TestALargeBlockIsSeveralRuns(t *testing.T) {
	content := strings.Repeat("x", 1<<16+7)
	if samples(t, literal([]byte(content))) != content {
		t.Fatal("not the same")
	}
}
