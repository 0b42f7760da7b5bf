package database

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// Migrations are the numbered files of a schema and the database they belong to.
type Migrations struct {
	db    *DB
	files []migration // in order of number, from 1
}

// Migration is one step of the schema, as lists show it.
type Migration struct {
	Number int
	Name   string
	// AppliedAt is zero where it is still to be applied.
	AppliedAt time.Time
	// Requires is the newest migration that a binary has to know once this one is applied; 0 for no demand.
	Requires int
	// Known is false for one that a newer binary applied.
	Known bool
	// Changed says that the file is not the one that was applied.
	Changed bool
}

// migration is a file of this binary.
type migration struct {
	number   int
	name     string
	up, down []string
	checksum string
	requires int
}

// appliedMigration is a row of the table that records them.
type appliedMigration struct {
	bun.BaseModel `bun:"table:schema_migrations"`

	Number    int       `bun:"number,pk"`
	Name      string    `bun:"name"`
	Checksum  string    `bun:"checksum"`
	Requires  int       `bun:"requires"`
	AppliedAt time.Time `bun:"applied_at"`
}

const migrationsTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
  number     INTEGER NOT NULL,
  name       {name} NOT NULL,
  checksum   {name} NOT NULL,
  requires   INTEGER NOT NULL,
  applied_at {time} NOT NULL,
  PRIMARY KEY (number)
) {table}`

// NewMigrations reads the files, which are those of package migrations but in tests. An error is a mistake in them.
func NewMigrations(db *DB, files fs.FS) (*Migrations, error) {
	m := &Migrations{db: db}
	names, err := fs.Glob(files, "*.up.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		read, err := readMigration(files, name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		if last := m.newest(); read.number == last || last == 0 && read.number != 1 {
			return nil, fmt.Errorf("migration %s: numbers begin with 1, and each is there once", name)
		}
		m.files = append(m.files, read)
	}
	return m, nil
}

// newest returns the highest number that this binary knows.
func (m *Migrations) newest() int {
	if len(m.files) == 0 {
		return 0
	}
	return m.files[len(m.files)-1].number
}

// missing returns the files that are still to be applied, in order. One may have a lower number than others that were
// applied: they come from lines of work that ended in another order than they began, and stand beside each other.
func (m *Migrations) missing(applied []appliedMigration) []migration {
	return slices.DeleteFunc(slices.Clone(m.files), func(file migration) bool {
		return slices.ContainsFunc(applied, func(row appliedMigration) bool { return row.Number == file.number })
	})
}

// file returns the file with a number.
func (m *Migrations) file(number int) (migration, bool) {
	i, ok := slices.BinarySearchFunc(m.files, number, func(file migration, n int) int { return file.number - n })
	if !ok {
		return migration{}, false
	}
	return m.files[i], true
}

var migrationName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.up\.sql$`)

func readMigration(files fs.FS, name string) (migration, error) {
	parts := migrationName.FindStringSubmatch(name)
	if parts == nil {
		return migration{}, errors.New("the name must be NNNN_name.up.sql")
	}
	number, err := strconv.Atoi(parts[1])
	if err != nil {
		return migration{}, err
	}
	up, err := fs.ReadFile(files, name)
	if err != nil {
		return migration{}, err
	}
	down, err := fs.ReadFile(files, strings.TrimSuffix(name, "up.sql")+"down.sql")
	if err != nil {
		return migration{}, err
	}
	sum := sha256.Sum256(up)
	m := migration{
		number: number, name: parts[2], up: statements(up), down: statements(down),
		checksum: hex.EncodeToString(sum[:]),
	}
	first, _, _ := strings.Cut(string(up), "\n")
	if demand, found := strings.CutPrefix(first, "-- requires:"); found {
		if m.requires, err = strconv.Atoi(strings.TrimSpace(demand)); err != nil {
			return migration{}, fmt.Errorf("%q: %w", first, err)
		}
	}
	return m, nil
}

// statements splits a file where a line ends with a semicolon, and drops lines of comment.
func statements(file []byte) []string {
	var all []string
	var current strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(file))
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " \t\r")
		if strings.HasPrefix(line, "--") || line == "" && current.Len() == 0 {
			continue
		}
		statement, ends := strings.CutSuffix(line, ";")
		current.WriteString(statement + "\n")
		if ends {
			all = append(all, current.String())
			current.Reset()
		}
	}
	if strings.TrimSpace(current.String()) != "" {
		all = append(all, current.String())
	}
	return all
}
