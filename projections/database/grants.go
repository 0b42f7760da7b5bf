package database

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// accountForm is a user's name with or without the host it comes from.
var accountForm = regexp.MustCompile(`^([A-Za-z0-9_.-]{1,32})(?:@([A-Za-z0-9_.%:-]{1,255}))?$`)

// ReadGrants returns the statements that let an account of the server read the views and nothing else. The account is
// named as name or name@host; without a host it is that for every host. An error says what is wrong with the account, or
// that the database has no accounts.
func (d *DB) ReadGrants(account string, views []string) ([]string, error) {
	if !d.mysql() {
		return nil, errors.New("SQLite has no accounts: give analysts a copy of the file")
	}
	parts := accountForm.FindStringSubmatch(account)
	if parts == nil {
		return nil, fmt.Errorf("%q names no account: write name or name@host, in letters, digits, '_', '.' and '-'", account)
	}
	host := parts[2]
	if host == "" {
		host = "%"
	}
	statements := make([]string, len(views))
	for i, view := range views {
		statements[i] = fmt.Sprintf("GRANT SELECT, SHOW VIEW ON `%s`.`%s` TO '%s'@'%s'",
			strings.ReplaceAll(d.name, "`", "``"), view, parts[1], host)
	}
	return statements, nil
}
