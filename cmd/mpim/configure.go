package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"text/tabwriter"
)

type configureCommand struct {
	Print configPrintCommand `cmd:"" help:"Print each effective value and where it came from."`
}

type configPrintCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// setting is one line of `mpim config print`.
type setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
	Live   bool   `json:"live"`
}

// Run prints the settings.
func (c *configPrintCommand) Run(i *invocation) error {
	given := onCommandLine(i.parsed)
	var settings []setting
	for _, flag := range i.parsed.Model.Flags {
		if len(flag.Envs) == 0 {
			continue
		}
		s := setting{Name: flag.Name, Source: i.env.source(flag, given[flag]), Live: flag.Tag.Has("live")}
		s.Value = shown(flag.Target, flag.Tag.Has("secret"))
		settings = append(settings, s)
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(settings)
	}
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SETTING\tVALUE\tFROM\tLIVE")
	for _, s := range settings {
		live := ""
		if s.Live {
			live = "live"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", s.Name, s.Value, s.Source, live)
	}
	return table.Flush()
}

func shown(value reflect.Value, secret bool) string {
	text := fmt.Sprint(value.Interface())
	if !secret || text == "" {
		return text
	}
	return redacted(text)
}
