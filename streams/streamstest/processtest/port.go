package processtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// Ports that FreePort chooses from: below the ranges of outgoing connections on Linux (from 32768) and elsewhere (from
// 49152), and above the well-known servers. See the package's Design section.
const (
	firstPort = 20000
	lastPort  = 32000
)

// FreePort returns a TCP port of 127.0.0.1 on which nothing listens. Another process may take it before the caller does,
// so a server that cannot bind it should be started again on a new one; OnFreePort does that.
func FreePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("no free port between %d and %d", firstPort, lastPort)
}

// OnFreePort calls start with free ports until it does not fail for the port's sake, five times at most.
func OnFreePort(start func(port int) error) error {
	var failure error
	for range 5 {
		port, err := FreePort()
		if err != nil {
			return err
		}
		failure = start(port)
		if failure == nil || !portTaken(failure) {
			return failure
		}
	}
	return failure
}

// portTaken looks for the system's words in what the program printed: a program tells why it ended in no other way.
func portTaken(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "address already in use")
}
