package main_test

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpim/streams/streamstest/processtest"
)

// pages are what people read, from this directory.
func pages(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	return append(docs, "../../README.md")
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var (
	fence    = regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```")
	inline   = regexp.MustCompile("`([^`\n]+)`")
	comment  = regexp.MustCompile(`\s#\s.*$`)
	variable = regexp.MustCompile(`\bMPIM_[A-Z_]*[A-Z]\b`)
	path     = regexp.MustCompile("`((?:cmd|domain|schema|streams|projections|handlers|docs)/[A-Za-z0-9_./]*)`")
)

// commandsOf returns the calls of mpim that a page shows.
func commandsOf(page string) [][]string {
	var lines []string
	for _, block := range fence.FindAllStringSubmatch(page, -1) {
		lines = append(lines, strings.Split(block[1], "\n")...)
	}
	for _, span := range inline.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		lines = append(lines, span[1])
	}
	var commands [][]string
	for _, line := range lines {
		words := strings.Fields(strings.ReplaceAll(comment.ReplaceAllString(line, ""), "'", ""))
		if len(words) > 2 && slices.Equal(words[:3], []string{"go", "run", "./cmd/mpim"}) {
			words = append([]string{"mpim"}, words[3:]...)
		}
		if n := slices.IndexFunc(words, func(w string) bool { return w == ">" || w == "<" || w == "|" }); n >= 0 {
			words = words[:n] // the rest is for the shell
		}
		if len(words) > 1 && words[0] == "mpim" {
			commands = append(commands, alternatives(words[1:])...)
		}
	}
	return commands
}

// alternatives returns the calls that a line like "user suspend|restore NAME" stands for.
func alternatives(words []string) [][]string {
	n := slices.IndexFunc(words, func(w string) bool { return strings.Contains(w, "|") })
	if n < 0 {
		return [][]string{words}
	}
	var all [][]string
	for one := range strings.SplitSeq(words[n], "|") {
		chosen := slices.Clone(words)
		chosen[n] = one
		all = append(all, alternatives(chosen)...)
	}
	return all
}

// Every command that a page shows is one that this binary has, flags included.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("mpim")
	if err != nil {
		t.Fatal(err)
	}
	checked := make(map[string]bool)
	for _, name := range pages(t) {
		for _, command := range commandsOf(read(t, name)) {
			call := strings.Join(command, " ")
			if checked[call] {
				continue
			}
			checked[call] = true
			// Kong prints help only for a command it knows, and only after the flags before it were understood.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			output, err := exec.CommandContext(ctx, program, append(command, "--help")...).CombinedOutput()
			cancel()
			if err != nil {
				t.Errorf("%s: mpim %s: %v\n%s", filepath.Base(name), call, err, output)
			}
			for _, word := range command {
				flag, _, _ := strings.Cut(word, "=")
				if strings.HasPrefix(flag, "--") && !strings.Contains(string(output), flag) {
					t.Errorf("%s: mpim %s: the help does not know %s", filepath.Base(name), call, flag)
				}
			}
		}
	}
	if len(checked) < 10 {
		t.Errorf("only %d commands found: %v", len(checked), checked)
	}
}

// Every variable that a page or a deployment names is a setting; every path leads somewhere.
func TestDocumentedNamesExist(t *testing.T) {
	t.Parallel()
	var settings strings.Builder
	for _, source := range []string{"settings.go", "dev.go", "gateway.go", "worker.go", "cli.go"} {
		settings.WriteString(read(t, source))
	}
	for _, name := range append(pages(t), "../../compose.yaml", "../../Dockerfile") {
		text := read(t, name)
		for _, found := range variable.FindAllString(text, -1) {
			if !strings.Contains(settings.String(), `env:"`+found+`"`) {
				t.Errorf("%s: %s is no setting", filepath.Base(name), found)
			}
		}
		for _, found := range path.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("../..", found[1])); err != nil {
				t.Errorf("%s: %v", filepath.Base(name), err)
			}
		}
	}
}

// Every metric of a running process is explained, and every explained one is in the code.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	port, err := processtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	admin := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	program, err := exec.LookPath("mpim")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, program, "dev", "--no-demo", "--addr", "127.0.0.1:0", "--admin-addr", admin)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	}()
	documented := read(t, "../../docs/operations.md")
	for _, name := range metricsOf(ctx, t, "http://"+admin+"/metrics") {
		if !strings.Contains(documented, "`"+name+"`") {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
	code := sources(t)
	for _, found := range regexp.MustCompile("`(mpim_[a-z_]+)`").FindAllStringSubmatch(documented, -1) {
		if !inCode(code, found[1]) {
			t.Errorf("docs/operations.md explains %s, which the code does not have", found[1])
		}
	}
}

// metricsOf waits until the process serves and returns the names of its own metrics.
func metricsOf(ctx context.Context, t *testing.T, url string) []string {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			page, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, found := range regexp.MustCompile(`(?m)^# TYPE (mpim_\w+) `).FindAllSubmatch(page, -1) {
				names = append(names, string(found[1]))
			}
			if len(names) < 20 {
				t.Errorf("only %d metrics", len(names))
			}
			return names
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the process does not serve metrics")
		}
	}
}

// sources returns all code that is not a test.
func sources(t *testing.T) string {
	t.Helper()
	var code strings.Builder
	err := filepath.WalkDir("../..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		content, err := os.ReadFile(name)
		code.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code.String()
}

// inCode says whether the code names a metric, whole or without the words that others put before it.
func inCode(code, name string) bool {
	for {
		if strings.Contains(code, `"`+name+`"`) {
			return true
		}
		_, rest, more := strings.Cut(name, "_")
		if !more {
			return false
		}
		name = rest
	}
}
