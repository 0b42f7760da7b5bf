package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/mysqldialect"
)

// The size of each pool and how long a connection may lie idle: less than the server's patience, below.
const (
	maxConnections = 16
	maxIdle        = 8
	maxIdleTime    = 8 * time.Second
)

// session is what every connection sets. A lock is waited for no longer than a worker may take to take over.
var session = map[string]string{
	"time_zone":                "'+00:00'",
	"sql_mode":                 "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
	"wait_timeout":             "15",
	"innodb_lock_wait_timeout": "10",
}

// serverDialect is bun's MySQL dialect without its look at the server's version: the same statements go to all of them.
type serverDialect struct{ *mysqldialect.Dialect }

// Init does nothing.
func (serverDialect) Init(*sql.DB) {}

func openMySQL(setting string) (*DB, error) {
	config, err := parseMySQL(setting)
	if err != nil {
		return nil, err
	}
	connect, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	pool := func(isolation string) *bun.DB {
		db := sql.OpenDB(&connector{Connector: connect, isolation: isolation})
		db.SetMaxOpenConns(maxConnections)
		db.SetMaxIdleConns(maxIdle)
		db.SetConnMaxIdleTime(maxIdleTime)
		return bun.NewDB(db, serverDialect{mysqldialect.New(mysqldialect.WithTimeLocation("UTC"))})
	}
	place := fmt.Sprintf("mysql://%s/%s", config.Addr, config.DBName)
	return &DB{write: pool("READ COMMITTED"), read: pool("REPEATABLE READ"), place: place, name: config.DBName}, nil
}

// connector sets the isolation of every transaction of a connection once, instead of asking for it with each. It is no
// setting like those of session, because the servers call its variable by different names.
type connector struct {
	driver.Connector
	isolation string
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("the MySQL driver cannot execute"), conn.Close())
	}
	if _, err := execer.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL "+c.isolation, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func parseMySQL(setting string) (*mysql.Config, error) {
	const form = "write mysql://user:password@host:port/database, with special characters in the password as %XX"
	u, err := url.Parse(setting)
	if err != nil {
		// The error of url.Parse quotes the setting, password included.
		return nil, errors.New("the database URL cannot be parsed: " + form)
	}
	name := strings.TrimPrefix(u.Path, "/")
	if u.Host == "" || name == "" || strings.Contains(name, "/") {
		return nil, errors.New("the database URL lacks host or database: " + form)
	}
	// The driver's own parser takes the options, so that all of them work and a wrong one is named.
	config, err := mysql.ParseDSN("/?" + u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("options of the database URL: %w", err)
	}
	config.Net, config.DBName = "tcp", name
	config.Addr = net.JoinHostPort(u.Hostname(), portOr(u, "3306"))
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.ParseTime, config.Loc = true, time.UTC
	config.ClientFoundRows, config.MultiStatements = true, false
	config.Logger = &mysql.NopLogger{} // what it would print comes back as an error
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Params == nil {
		config.Params = make(map[string]string, len(session))
	}
	for variable, value := range session {
		if _, set := config.Params[variable]; !set {
			config.Params[variable] = value
		}
	}
	if err := config.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	return config, nil
}

func portOr(u *url.URL, port string) string {
	if p := u.Port(); p != "" {
		return p
	}
	return port
}
