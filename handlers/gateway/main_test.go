package gateway_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(serverKind); kind != "" {
		serveForBenchmark(kind)
		return
	}
	goleak.VerifyTestMain(m)
}
