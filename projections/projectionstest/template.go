package projectionstest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"mpim/streams/streamstest/processtest"
)

// initial are the variables that a data directory is made with and must be run with.
var initial = []string{
	"--innodb-log-file-size=32M", // the default of 96 MiB would be copied for every server
	"--innodb-data-file-path=ibdata1:12M:autoextend",
}

// newDataDirectory fills a new directory with the system tables of a fresh server. Making them takes seconds, so they are
// made once for each user and version of the server, kept in the user's cache directory, and copied from there.
func newDataDirectory(mariadbd, directory string) error {
	template, err := template(mariadbd)
	if err != nil {
		return err
	}
	return os.CopyFS(directory, os.DirFS(template))
}

// template returns the directory to copy, and makes it when it is missing. Several test binaries may ask at once: the
// first makes it under a lock and the others wait.
func template(mariadbd string) (string, error) {
	version, err := exec.Command(mariadbd, "--no-defaults", "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", mariadbd, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil { // no home directory, as in some containers
		cache = os.TempDir()
	}
	parent := filepath.Join(cache, "mpim")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(string(version) + strings.Join(initial, " ")))
	path := filepath.Join(parent, "mariadb-"+hex.EncodeToString(sum[:6]))

	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, install(path)
}

func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil // closing gives up the lock
}

// install makes the system tables beside their place and renames them into it, so that half of them is never used.
func install(path string) error {
	program, err := processtest.Find("mariadb-install-db")
	if err != nil {
		return err
	}
	building, err := os.MkdirTemp(filepath.Dir(path), "mariadb-building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(building)
	arguments := append([]string{
		"--no-defaults",
		"--datadir=" + building,
		"--auth-root-authentication-method=normal",
		"--skip-test-db",
		"--skip-name-resolve",
		"--force", // also where this machine's own name cannot be looked up
	}, initial...)
	output, err := exec.Command(program, append(arguments, asRoot()...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w; it printed:\n%s", program, err, output)
	}
	return os.Rename(building, path)
}
