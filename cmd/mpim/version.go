package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// version is set when a release is built: -ldflags "-X main.version=v1.2.3".
var version = ""

type versionCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// versionInfo is what the binary knows of itself.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readVersion() versionInfo {
	info := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if info.Version == "" {
		info.Version = build.Main.Version
	}
	for _, s := range build.Settings {
		if s.Key == "vcs.revision" {
			info.Revision = s.Value
		}
	}
	return info
}

// Run prints the version.
func (c *versionCommand) Run(i *invocation) error {
	info := readVersion()
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(info)
	}
	_, err := fmt.Fprintln(i.stdout, "mpim", info)
	return err
}

// String returns the version, the revision it was built from if that is known, the Go version and the platform.
func (v versionInfo) String() string {
	return strings.Join(strings.Fields(v.Version+" "+v.Revision+" "+v.Go+" "+v.Platform), " ")
}
