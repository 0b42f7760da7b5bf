package projectionstest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/go-sql-driver/mysql"

	"mpim/streams/streamstest/processtest"
)

// The account that tests use. It may do everything, and only connects from this machine.
const (
	user     = "mpim"
	password = "mpim"
)

// MariaDBServer is a private mariadbd on 127.0.0.1 with a data directory of its own. The embedded process kills it, stops
// it, pauses it and starts it again on the same port with the same data.
type MariaDBServer struct {
	*processtest.Process

	port      int
	databases atomic.Int64
}

// Option changes how a server is started.
type Option func(*settings)

type settings struct{ variables []string }

// With sets a server variable, such as With("default-time-zone", "+05:30"). It wins over the default.
func With(variable, value string) Option {
	return func(s *settings) { s.variables = append(s.variables, "--"+variable+"="+value) }
}

// StartMariaDB starts a server for one test and removes it and its data when the test ends. It fails the test, and never
// skips it, when there is no mariadbd to start. What the server printed is shown when the test failed.
func StartMariaDB(tb testing.TB, options ...Option) *MariaDBServer {
	tb.Helper()
	server, err := NewMariaDB(options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("mariadbd on port %d printed at the end:\n%s", server.port, server.Tail())
		}
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return server
}

// NewMariaDB starts a server that several tests share, for TestMain. The caller closes it.
//
// It has small buffers, syncs its redo log with every commit, and stores text as utf8mb4 like MySQL 8.4 does.
func NewMariaDB(options ...Option) (*MariaDBServer, error) {
	path, err := processtest.Find("mariadbd")
	if err != nil {
		return nil, err
	}
	directory, err := os.MkdirTemp("", "mpim-mariadb-") // not a test's TempDir: a socket's path must be short
	if err != nil {
		return nil, err
	}
	server := &MariaDBServer{}
	if err := server.start(path, directory, options); err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	return server, nil
}

func (s *MariaDBServer) start(path, directory string, options []Option) error {
	data := filepath.Join(directory, "data")
	if err := newDataDirectory(path, data); err != nil {
		return fmt.Errorf("prepare a data directory for mariadbd: %w", err)
	}
	accounts := filepath.Join(directory, "accounts.sql")
	if err := os.WriteFile(accounts, []byte(accountsSQL), 0o600); err != nil {
		return err
	}
	return processtest.OnFreePort(func(port int) error {
		s.port = port
		var err error
		s.Process, err = processtest.Start(processtest.Spec{
			Name:  "mariadbd",
			Path:  path,
			Args:  arguments(directory, data, accounts, port, options),
			Dir:   directory,
			Ready: func(ctx context.Context) error { return answers(ctx, s.DSN(""), data) },
		})
		return err
	})
}

// accountsSQL runs at every start, before the server accepts connections.
const accountsSQL = `CREATE USER IF NOT EXISTS '` + user + `'@'127.0.0.1' IDENTIFIED BY '` + password + `';
GRANT ALL PRIVILEGES ON *.* TO '` + user + `'@'127.0.0.1' WITH GRANT OPTION;
`

func arguments(directory, data, accounts string, port int, options []Option) []string {
	all := append([]string{
		"--no-defaults", // must be the first
		"--datadir=" + data,
		"--bind-address=127.0.0.1",
		"--port=" + strconv.Itoa(port),
		"--socket=" + filepath.Join(directory, "socket"),
		"--pid-file=" + filepath.Join(directory, "pid"),
		"--tmpdir=" + directory,
		"--init-file=" + accounts,
		"--skip-name-resolve",
		"--character-set-server=utf8mb4",
		"--max-connections=300",
		"--innodb-buffer-pool-size=64M",
		"--innodb-flush-log-at-trx-commit=1",
	}, initial...)
	s := settings{variables: append(all, asRoot()...)}
	for _, option := range options {
		option(&s)
	}
	return s.variables
}

// asRoot lets mariadbd run under root, which it refuses otherwise, in containers whose only user that is.
func asRoot() []string {
	if os.Getuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// answers reports nil once the server accepts connections, and is the one that lives in the directory.
func answers(ctx context.Context, dsn, data string) error {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	config.Logger = &mysql.NopLogger{} // every refused connection while waiting would be a line on stderr
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	var got string
	if err := db.QueryRowContext(ctx, "SELECT @@datadir").Scan(&got); err != nil {
		return err
	}
	if filepath.Clean(got) != data {
		return fmt.Errorf("address already in use: the server at %s lives in %s, not in %s", config.Addr, got, data)
	}
	return nil
}

// Addr returns host and port.
func (s *MariaDBServer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN returns a database of the server, or with "" none, in the form of go-sql-driver. Times are read as UTC time.Time.
func (s *MariaDBServer) DSN(database string) string {
	return user + ":" + password + "@tcp(" + s.Addr() + ")/" + database + "?parseTime=true"
}

// URL returns a database of the server as a setting of mpim, mysql://user:password@host:port/database.
func (s *MariaDBServer) URL(database string) string {
	return "mysql://" + user + ":" + password + "@" + s.Addr() + "/" + database
}

// CreateDatabase creates an empty database and returns its name, another one with each call. It goes with the server.
func (s *MariaDBServer) CreateDatabase(tb testing.TB) string {
	tb.Helper()
	db, err := sql.Open("mysql", s.DSN(""))
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	name := "test_" + strconv.FormatInt(s.databases.Add(1), 10)
	if _, err := db.ExecContext(tb.Context(), "CREATE DATABASE "+name); err != nil {
		tb.Fatalf("create database %s: %v", name, err)
	}
	return name
}

// Close kills the server and removes its data.
func (s *MariaDBServer) Close() error {
	return errors.Join(s.Kill(), os.RemoveAll(s.Dir()))
}
