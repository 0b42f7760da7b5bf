package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

type configureCommand struct {
	Print configPrintCommand `cmd:"" help:"Print each effective value and where it came from."`
}

type configPrintCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// setting is one line of `mpim config print`.
type setting struct {
	Name string `json:"name"`
	// Command is the only one that has the setting; empty for what all share.
	Command string `json:"command,omitempty"`
	Value   string `json:"value"`
	// Source is "default", "environment MPIM_…", "flag --…" or file:line.
	Source   string `json:"source"`
	Live     bool   `json:"live"`
	Variable string `json:"variable"`
}

// Run prints the settings.
func (c *configPrintCommand) Run(i *invocation) error {
	settings := i.allSettings()
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(settings)
	}
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SETTING\tVALUE\tLIVE\tFROM")
	for _, s := range settings {
		live, name := "", s.Name
		if s.Live {
			live = "live"
		}
		if s.Command != "" {
			name = s.Command + " --" + s.Name
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, s.Value, live, s.Source)
	}
	return table.Flush()
}

// allSettings returns what all commands share, then what single commands have.
func (i *invocation) allSettings() []setting {
	given := onCommandLine(i.parsed)
	var settings []setting
	for _, flag := range i.parsed.Model.Flags {
		if len(flag.Envs) > 0 && flag.Name != "config" {
			settings = append(settings, setting{
				Name: flag.Name, Value: shown(flag.Target, flag.Tag.Has("secret")), Source: i.env.source(flag, given[flag]),
				Live: flag.Tag.Has("live"), Variable: flag.Envs[0],
			})
		}
	}
	for _, command := range i.parsed.Model.Children {
		for _, flag := range command.Flags {
			if len(flag.Envs) > 0 {
				settings = append(settings, i.commandSetting(command.Name, flag))
			}
		}
	}
	return settings
}

// commandSetting describes a setting of a command that does not run now.
func (i *invocation) commandSetting(command string, flag *kong.Flag) setting {
	text, source, ok := i.env.lookup(flag)
	if !ok {
		text = flag.Default
		if flag.Target.Kind() == reflect.Bool {
			text = "false"
		}
	}
	return setting{Name: flag.Name, Command: command, Value: text, Source: source, Variable: flag.Envs[0]}
}

func shown(value reflect.Value, secret bool) string {
	text := fmt.Sprint(value.Interface())
	if !secret || text == "" {
		return text
	}
	return redacted(text)
}
