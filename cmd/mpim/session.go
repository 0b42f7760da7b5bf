package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
)

type sessionCommand struct {
	List   sessionListCommand   `cmd:"" help:"List a user's sessions."`
	Revoke sessionRevokeCommand `cmd:"" help:"End a session, or all of a user; the sockets close."`
}

// sessionLine is a session as it is printed.
type sessionLine struct {
	Session    string `json:"session"`
	DeviceID   string `json:"device_id"`
	DeviceName string `json:"device_name"`
	CreatedAt  string `json:"created_at"`
	LastSeenAt string `json:"last_seen_at"`
	Online     bool   `json:"online"`
}

type sessionsAnswer struct {
	Sessions []sessionLine `json:"sessions"`
}

type sessionListCommand struct {
	JSON bool `help:"Print one JSON document."`
	userArgument
}

// Run lists sessions.
func (c *sessionListCommand) Run(i *invocation) error {
	return i.consult("session list", func(o *operator) error {
		listed, _, err := o.sessions(c.User)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(listed.Sessions)
		}
		table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "SESSION\tDEVICE\tNAME\tCREATED\tLAST SEEN\tONLINE")
		for _, s := range listed.Sessions {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%t\n", s.Session, s.DeviceID, s.DeviceName, s.CreatedAt, s.LastSeenAt, s.Online)
		}
		return table.Flush()
	})
}

// sessions returns a user's sessions and its id.
func (o *operator) sessions(user string) (listed sessionsAnswer, id string, err error) {
	if id, err = o.find(user); err != nil {
		return listed, "", err
	}
	err = o.call("admin.session.list", map[string]any{"user": id}, &listed)
	return listed, id, err
}

type sessionRevokeCommand struct {
	All bool `help:"End all sessions of the user."`
	changing
	userArgument
	Session string `arg:"" optional:"" help:"The id of the session."`
}

// Run ends sessions.
func (c *sessionRevokeCommand) Run(i *invocation) error {
	if (c.Session == "") == !c.All {
		return usagef("name one session, as `mpim session list %s` shows them, or --all", c.User)
	}
	question := "End session " + c.Session + " of " + c.User + "?"
	if c.All {
		question = "End all sessions of " + c.User + "?"
	}
	if err := i.confirm(c.Yes, question); err != nil {
		return err
	}
	return i.operate("session revoke", func(o *operator) error {
		listed, user, err := o.sessions(c.User)
		if err != nil {
			return err
		}
		if !c.All {
			listed.Sessions = []sessionLine{{Session: c.Session}}
		}
		revoked := make([]string, 0, len(listed.Sessions))
		for _, s := range listed.Sessions {
			if err := o.call("admin.session.revoke", map[string]any{"user": user, "session": s.Session}, nil); err != nil {
				return err
			}
			revoked = append(revoked, s.Session)
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(map[string]any{"user": user, "revoked": revoked})
		}
		for _, session := range revoked {
			fmt.Fprintf(i.stdout, "revoked %s\n", session)
		}
		return nil
	})
}
