package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
)

type userCommand struct {
	Create  userCreateCommand  `cmd:"" help:"Register an account; the password is asked for, or read from standard input."`
	List    userListCommand    `cmd:"" help:"List all users."`
	Show    userShowCommand    `cmd:"" help:"Show an account."`
	Suspend userSuspendCommand `cmd:"" help:"Keep a user out; its sockets close."`
	Restore userRestoreCommand `cmd:"" help:"Let a suspended user in again."`
	Passwd  userPasswdCommand  `cmd:"" help:"Replace a password, which is asked for or read from standard input; all sessions of the user end."`
	Erase   userEraseCommand   `cmd:"" help:"Destroy a user's key, so that nothing the user wrote can be read again, and purge it everywhere."`
	Rekey   userRekeyCommand   `cmd:"" help:"Wrap the keys of all users with the newest wrapping key."`
	Admin   userAdminCommand   `cmd:"" help:"Let a user do what administrators may do, or no longer."`
}

// userLine is a user as `user list` prints it.
type userLine struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
	AvatarURL   string `json:"avatar_url"`
	CreatedAt   string `json:"created_at"`
	Suspended   bool   `json:"suspended"`
}

// accountLine is an account as the other user commands print it.
type accountLine struct {
	userLine
	Administrator bool   `json:"administrator"`
	Strangers     string `json:"strangers"`
}

type accountAnswer struct {
	User     accountLine `json:"user"`
	Position string      `json:"position"`
}

// state says in words what is special about the account.
func (a accountLine) state() string {
	switch {
	case a.Suspended && a.Administrator:
		return "administrator, suspended"
	case a.Suspended:
		return "suspended"
	case a.Administrator:
		return "administrator"
	default:
		return "-"
	}
}

// changed prints an account after a change.
func (i *invocation) changed(asJSON bool, answer accountAnswer, did string) error {
	if asJSON {
		return json.NewEncoder(i.stdout).Encode(answer)
	}
	_, err := fmt.Fprintf(i.stdout, "%s %s (%s)\n", did, answer.User.Username, answer.User.ID)
	return err
}

// user names an account on the command line.
type userArgument struct {
	User string `arg:"" help:"A user id, or a user name with or without @."`
}

// changing is what commands that change an account have in common.
type changing struct {
	JSON bool `help:"Print one JSON document."`
	Yes  bool `help:"Do not ask."`
}

// change finds the user, asks for an operation on it, and prints the outcome.
func (i *invocation) change(what, user, method, did string, c changing, params map[string]any) error {
	return i.operate(what, func(o *operator) (err error) {
		var answer accountAnswer
		if params["user"], err = o.find(user); err != nil {
			return err
		}
		if err := o.call(method, params, &answer); err != nil {
			return err
		}
		return i.changed(c.JSON, answer, did)
	})
}

type userCreateCommand struct {
	Name        string `arg:"" help:"The user name."`
	DisplayName string `help:"What others see; the user name where it is left out." placeholder:"NAME"`
	Admin       bool   `help:"Make the user an administrator."`
	changing
}

// Run registers an account.
func (c *userCreateCommand) Run(i *invocation) error {
	password, err := i.readPassword()
	if err != nil {
		return err
	}
	return i.operate("user create", func(o *operator) error {
		var answer accountAnswer
		params := map[string]any{"username": c.Name, "password": password, "display_name": c.DisplayName, "administrator": c.Admin}
		if err := o.call("admin.user.create", params, &answer); err != nil {
			return err
		}
		return i.changed(c.JSON, answer, "created")
	})
}

type userListCommand struct {
	JSON bool `help:"Print JSON Lines."`
}

// Run lists all users.
func (c *userListCommand) Run(i *invocation) error {
	return i.consult("user list", func(o *operator) error {
		encoder := json.NewEncoder(i.stdout)
		table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		if !c.JSON {
			fmt.Fprintln(table, "ID\tUSERNAME\tDISPLAY NAME\tCREATED\tSTATE")
		}
		page := map[string]any{"limit": 100}
		for {
			var answer struct {
				Users []userLine `json:"users"`
				Next  string     `json:"next"`
			}
			if err := o.call("admin.user.list", page, &answer); err != nil {
				return err
			}
			for _, u := range answer.Users {
				if c.JSON {
					if err := encoder.Encode(u); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", u.ID, u.Username, u.DisplayName, u.CreatedAt, accountLine{userLine: u}.state())
			}
			if page["after"] = answer.Next; answer.Next == "" {
				return table.Flush()
			}
		}
	})
}

type userShowCommand struct {
	JSON bool `help:"Print one JSON document."`
	userArgument
}

// Run shows an account.
func (c *userShowCommand) Run(i *invocation) error {
	return i.consult("user show", func(o *operator) error {
		user, err := o.find(c.User)
		if err != nil {
			return err
		}
		var answer accountAnswer
		if err := o.call("admin.user.get", map[string]any{"user": user}, &answer); err != nil {
			return err
		}
		var listed sessionsAnswer
		if err := o.call("admin.session.list", map[string]any{"user": user}, &listed); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(struct {
				accountLine
				Sessions []sessionLine `json:"sessions"`
			}{answer.User, listed.Sessions})
		}
		u, table := answer.User, tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "id\t%s\nusername\t%s\ndisplay name\t%s\npicture\t%s\ncreated\t%s\nstate\t%s\nmessages from\t%s\nsessions\t%d\n",
			u.ID, u.Username, u.DisplayName, u.AvatarURL, u.CreatedAt, u.state(), u.Strangers, len(listed.Sessions))
		return table.Flush()
	})
}

type userSuspendCommand struct {
	Reason string `help:"Why; it is kept with the event." placeholder:"TEXT"`
	changing
	userArgument
}

// Run suspends an account.
func (c *userSuspendCommand) Run(i *invocation) error {
	if err := i.confirm(c.Yes, "Suspend "+c.User+"? It is disconnected, and cannot log in until it is restored."); err != nil {
		return err
	}
	return i.change("user suspend", c.User, "admin.user.suspend", "suspended", c.changing, map[string]any{"reason": c.Reason})
}

type userRestoreCommand struct {
	changing
	userArgument
}

// Run restores an account.
func (c *userRestoreCommand) Run(i *invocation) error {
	return i.change("user restore", c.User, "admin.user.restore", "restored", c.changing, map[string]any{})
}

type userPasswdCommand struct {
	changing
	userArgument
}

// Run replaces a password.
func (c *userPasswdCommand) Run(i *invocation) error {
	password, err := i.readPassword()
	if err != nil {
		return err
	}
	return i.change("user passwd", c.User, "admin.user.password", "set the password of", c.changing, map[string]any{"password": password})
}

type userAdminCommand struct {
	Remove bool `help:"Take it away."`
	changing
	userArgument
}

// Run makes an administrator of a user, or no longer.
func (c *userAdminCommand) Run(i *invocation) error {
	did := "made an administrator of"
	if c.Remove {
		did = "no administrator any more:"
	}
	return i.change("user admin", c.User, "admin.user.administrator", did, c.changing, map[string]any{"administrator": !c.Remove})
}
