package main

import (
	"encoding/json"
	"fmt"

	"mpim/domain"
)

type noticeCommand struct {
	Publish noticePublishCommand `cmd:"" help:"Tell everyone, some users, or the members of a conversation something."`
}

type noticePublishCommand struct {
	Title        string   `required:"" help:"One line."`
	Text         string   `required:"" help:"What there is to say."`
	User         []string `help:"For this user, by id or name; may be given several times. Without it and --conversation: for everyone."`
	Conversation string   `help:"For the members of this conversation." placeholder:"ID"`
	Role         []string `help:"Of the members, for those with this role: owner, admin or member." placeholder:"ROLE"`
	Client       string   `help:"Tell those at once whose client calls itself so." placeholder:"NAME"`
	Gateway      string   `help:"Tell those at once who are connected to this gateway." placeholder:"ID"`
	Priority     string   `help:"low, normal or high." enum:"low,normal,high" default:"normal"`
	ClientID     string   `name:"client-id" help:"Published once, however often it is asked for with the same id." placeholder:"ID"`
	changing
}

// Run publishes a notice.
func (c *noticePublishCommand) Run(i *invocation) error {
	return i.operate("notice publish", func(o *operator) error {
		to := domain.Recipients{Conversation: domain.ConversationID(c.Conversation), Client: c.Client, Gateway: c.Gateway}
		for _, name := range c.User {
			user, err := o.find(name)
			if err != nil {
				return err
			}
			to.Users = append(to.Users, domain.UserID(user))
		}
		for _, role := range c.Role {
			to.Roles = append(to.Roles, domain.Role(role))
		}
		if to.Everyone() && len(to.Roles) > 0 {
			return usagef("--role is of a conversation's members: add --conversation")
		}
		var answer struct {
			Notice struct {
				Event    string `json:"event"`
				Title    string `json:"title"`
				Text     string `json:"text"`
				At       string `json:"at"`
				Priority string `json:"priority"`
			} `json:"notice"`
			Duplicate bool   `json:"duplicate"`
			Position  string `json:"position"`
		}
		params := map[string]any{"title": c.Title, "text": c.Text, "to": to, "priority": c.Priority}
		if c.ClientID != "" {
			params["client_id"] = c.ClientID
		}
		if err := o.call("notice.publish", params, &answer); err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(answer)
		}
		did := "published"
		if answer.Duplicate {
			did = "was published before:"
		}
		_, err := fmt.Fprintf(i.stdout, "%s notice %s\n", did, answer.Notice.Event)
		return err
	})
}
