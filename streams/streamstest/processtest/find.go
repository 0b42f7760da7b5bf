package processtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Directories where servers are installed but that are often missing from PATH: Debian keeps mariadbd in /usr/sbin, Homebrew
// on Apple silicon installs under /opt.
var moreDirectories = []string{
	"/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/homebrew/sbin",
}

// Find returns the path of an executable, looked for in PATH and in the usual directories of servers. A name with a slash
// is taken as it is. The error says how to install what the tests need.
func Find(name string) (string, error) {
	if filepath.Base(name) != name {
		return name, nil
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, directory := range moreDirectories {
		if path, err := exec.LookPath(filepath.Join(directory, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("the program %s is not installed: run ./.ci/test once, which installs what the tests need", name)
}
