package processtest_test

import (
	"strings"
	"testing"
	"time"
)

func TestProcessDiesWithAKilledParent(t *testing.T) {
	t.Parallel()
	s := spec(t.TempDir(), "parent")
	s.Env = append(s.Env, "PROCESSTEST_DIR="+t.TempDir())
	parent := start(t, s)
	line, err := parent.WaitLine(t.Context(), "ready parent ")
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Fields(line)[2]
	if _, err := get(t.Context(), address); err != nil {
		t.Fatalf("before the kill: %v", err)
	}
	if err := parent.Kill(); err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(10 * time.Second)
	for {
		if _, err := get(t.Context(), address); err != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatal("the child outlived its killed parent")
		}
	}
}
