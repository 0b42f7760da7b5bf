package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mpim/handlers/gateway"
)

// BenchmarkIdleConnection reports what one idle connection takes of the server's resident memory, after hello and its
// answer: of the gateway, and of the bare library that reads and answers one frame in a detached goroutine. The server
// is a process of its own, so that nothing of the clients is counted.
//
//	go test -run - -bench IdleConnection -benchtime 1x ./handlers/gateway
func BenchmarkIdleConnection(b *testing.B) {
	for _, kind := range []string{"bare", "gateway"} {
		b.Run(kind, func(b *testing.B) {
			for range b.N {
				idle(b, kind, idleConnections())
			}
		})
	}
}

// serverKind is the environment variable that makes the test binary a server.
const serverKind = "MPIM_TEST_SERVER"

func idleConnections() int {
	if n, err := strconv.Atoi(os.Getenv("MPIM_TEST_CONNECTIONS")); err == nil {
		return n
	}
	return 5000
}

func idle(b *testing.B, kind string, n int) {
	b.Helper()
	server := startServer(b, kind)
	before := server.measure()
	conns := make([]net.Conn, n)
	var dialing sync.WaitGroup
	const dialers = 16
	for d := range dialers {
		dialing.Go(func() {
			for i := d; i < n; i += dialers {
				conn, err := rawHello(server.address, fmt.Sprintf("user%d", i))
				if err != nil {
					b.Error(err)
					return
				}
				conns[i] = conn
			}
		})
	}
	dialing.Wait()
	after := server.measure()
	b.ReportMetric(float64(after.resident-before.resident)/float64(n), "resident-B/conn")
	b.ReportMetric(float64(after.heap-before.heap)/float64(n), "heap-B/conn")
	b.ReportMetric(float64(after.stack-before.stack)/float64(n), "stack-B/conn")
	b.ReportMetric(0, "ns/op")
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	server.stop()
}

type memory struct{ resident, heap, stack, processor int64 }

type benchServer struct {
	b       *testing.B
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
}

func startServer(b *testing.B, kind string) *benchServer {
	b.Helper()
	s := &benchServer{b: b, command: exec.CommandContext(b.Context(), os.Args[0])}
	s.command.Env = append(os.Environ(), serverKind+"="+kind)
	s.command.Stderr = os.Stderr
	var err error
	if s.in, err = s.command.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := s.command.Start(); err != nil {
		b.Fatal(err)
	}
	s.address = s.line()
	return s
}

func (s *benchServer) line() string {
	text, err := s.out.ReadString('\n')
	if err != nil {
		s.b.Fatal(err)
	}
	return strings.TrimSpace(text)
}

func (s *benchServer) measure() (m memory) {
	_, _ = io.WriteString(s.in, "measure\n")
	if _, err := fmt.Sscan(s.line(), &m.resident, &m.heap, &m.stack, &m.processor); err != nil {
		s.b.Fatal(err)
	}
	return m
}

func (s *benchServer) stop() {
	_ = s.in.Close()
	_ = s.command.Wait()
}

// serveForBenchmark is the server's process: it prints its address, and its memory for each line that it reads.
func serveForBenchmark(kind string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var handler http.Handler = http.HandlerFunc(bare)
	w := newWorld()
	if kind != "bare" {
		g, err := gateway.New(gateway.Config{
			ID: "g", Placement: placement, Operations: w, Gate: w, Ledger: w, Bus: w, Routes: w, Channels: w, Holders: w, Standing: w,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			panic(err)
		}
		go func() { _ = g.Run(context.Background()) }()
		handler = g
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	fmt.Println(listener.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if kind == fanOut && lines.Text() != "measure" {
			pushAll(w, lines.Text())
			continue
		}
		for range 4 { // stacks shrink by half a collection
			runtime.GC()
		}
		debug.FreeOSMemory()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		fmt.Println(resident(), stats.HeapInuse, stats.StackInuse, processorTime())
	}
}

// processorTime returns how long this process has run on processors, in nanoseconds.
func processorTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// bare is a socket of the library alone: detached, without a standing writer.
func bare(w http.ResponseWriter, r *http.Request) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{gateway.Subprotocol}, CompressionMode: websocket.CompressionNoContextTakeover,
	})
	if err != nil {
		return
	}
	ctx := context.WithoutCancel(r.Context())
	go func() {
		for {
			kind, frame, err := socket.Read(ctx)
			if err != nil {
				return
			}
			if err := socket.Write(ctx, kind, frame); err != nil {
				return
			}
		}
	}()
}

// resident returns the resident memory of this process, or what the runtime holds where that cannot be read.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.Sys - stats.HeapReleased)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// rawHello opens a socket with nothing but a connection, says hello and reads the answer. What comes after the answer in
// the same read is lost.
func rawHello(address, user string) (net.Conn, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return openByHand(conn, user)
}

// openByHand opens a socket on a connection by hand.
func openByHand(conn net.Conn, user string) (net.Conn, error) {
	_, err := io.WriteString(conn, "GET /v1/ws HTTP/1.1\r\nHost: gateway\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: "+gateway.Subprotocol+"\r\n\r\n")
	if err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("answered %s", response.Status)
	}
	hello := `{"jsonrpc":"2.0","id":1,"method":"hello","params":{"token":"` + user + `","client":"benchmark/1"}}`
	if _, err := conn.Write(maskedFrame([]byte(hello))); err != nil {
		return nil, err
	}
	_, err = readRawFrame(reader)
	return conn, err
}

// maskedFrame returns a text frame as a client sends it, with a mask of zeros.
func maskedFrame(text []byte) []byte {
	var b bytes.Buffer
	b.WriteByte(0x81)
	if len(text) < 126 {
		b.WriteByte(0x80 | byte(len(text)))
	} else {
		b.WriteByte(0x80 | 126)
		_ = binary.Write(&b, binary.BigEndian, uint16(len(text)))
	}
	b.Write([]byte{0, 0, 0, 0})
	b.Write(text)
	return b.Bytes()
}

// readRawFrame reads one unfragmented frame of a server.
func readRawFrame(r *bufio.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(head[1])
	switch n {
	case 126:
		var length uint16
		if err := binary.Read(r, binary.BigEndian, &length); err != nil {
			return nil, err
		}
		n = int(length)
	case 127:
		var length uint64
		if err := binary.Read(r, binary.BigEndian, &length); err != nil {
			return nil, err
		}
		n = int(length)
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return payload, err
}
