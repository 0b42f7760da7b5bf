package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A binary beside the real one has the projection of the guide, and versions of projections that the environment chooses: linking
// one takes longer than most tests, so one stands for all.

// versionSource reads a version from the environment; 1 where it says nothing.
const versionSource = `package %s

import (
	"os"
	"strconv"
)

var %s = func() int {
	n, err := strconv.Atoi(os.Getenv("%s"))
	if err != nil {
		return 1
	}
	return n
}()
`

// Variables by which the versions of two projections are chosen.
const (
	emojiVersion = "TEST_EMOJI_VERSION"
	inboxVersion = "TEST_INBOX_VERSION"
)

// overlaid are the files of that binary which differ from the repository's, by their paths in it.
func overlaid() (map[string]string, error) {
	guide, err := os.ReadFile("../../docs/projections.md")
	if err != nil {
		return nil, err
	}
	registry, err := os.ReadFile("projections.go")
	if err != nil {
		return nil, err
	}
	inbox, err := os.ReadFile("../../projections/inbox/projection.go")
	if err != nil {
		return nil, err
	}
	blocks := goBlock.FindAllStringSubmatch(string(guide), -1)
	if len(blocks) != 2 {
		return nil, fmt.Errorf("the guide has %d blocks of Go", len(blocks))
	}
	file, line := blocks[0][1], blocks[1][1]
	if n := strings.Count(file, "\n"); n >= 60 {
		return nil, fmt.Errorf("the projection of the guide has %d lines", n)
	}
	files := map[string]string{"../../projections/emoji/emoji.go": file, "projections.go": string(registry), "../../projections/inbox/projection.go": string(inbox)}
	for _, change := range []struct{ name, from, to string }{
		{"../../projections/emoji/emoji.go", "Version: 1,", "Version: version,"},
		{"projections.go", "\thistory.Definition,\n", "\thistory.Definition,\n" + line},
		{"projections.go", "\t\"mpim/projections/history\"\n", "\t\"mpim/projections/emoji\"\n\t\"mpim/projections/history\"\n"},
		{"../../projections/inbox/projection.go", "const Version = 1\n", ""},
	} {
		if !strings.Contains(files[change.name], change.from) {
			return nil, fmt.Errorf("%s has no %q", change.name, change.from)
		}
		files[change.name] = strings.Replace(files[change.name], change.from, change.to, 1)
	}
	files["../../projections/emoji/version.go"] = fmt.Sprintf(versionSource, "emoji", "version", emojiVersion)
	files["../../projections/inbox/version.go"] = fmt.Sprintf(versionSource, "inbox", "Version", inboxVersion)
	return files, nil
}

var otherBinary = sync.OnceValues(func() (path string, err error) {
	directory, err := os.MkdirTemp("", "mpim-binary-")
	if err != nil {
		return "", err
	}
	files, err := overlaid()
	if err != nil {
		return "", err
	}
	replace := make(map[string]string)
	for name, content := range files {
		there, err := filepath.Abs(name)
		if err != nil {
			return "", err
		}
		here := filepath.Join(directory, strings.ReplaceAll(strings.TrimLeft(name, "./"), "/", "_"))
		if err := os.WriteFile(here, []byte(content), 0o600); err != nil {
			return "", err
		}
		replace[there] = here
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file, path := filepath.Join(directory, "overlay.json"), filepath.Join(directory, "mpim")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return "", err
	}
	// Without what debuggers need it is linked in half the time.
	if output, err := exec.Command("go", "build", "-ldflags=-s -w", "-overlay", file, "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the other mpim: %w\n%s", err, output)
	}
	return path, nil
})

// choose has the deployment's commands and new processes run the other binary, with these variables.
func (d *deployment) choose(t *testing.T, env ...string) {
	t.Helper()
	path, err := otherBinary()
	if err != nil {
		t.Fatal(err)
	}
	d.path = path
	for _, setting := range env {
		name, _, _ := strings.Cut(setting, "=")
		d.env = slices.DeleteFunc(slices.Clone(d.env), func(known string) bool { return strings.HasPrefix(known, name+"=") })
		d.env = append(d.env, setting)
	}
}
