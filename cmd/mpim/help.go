package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

const description = `An event-sourced chat backend on Redis Streams.

"mpim dev" is the whole of it in one process, and needs no servers. On servers:
"mpim migrate up", then any number of "mpim gateway" and "mpim worker".
"mpim doctor" says what is wrong and what to do about it.

Every setting is a flag, a variable MPIM_* and a key of the YAML file that
--config names; the first of these that is there wins. "mpim config print" shows
each value and where it came from, "mpim config print --help" what it is for.`

// printHelp prints the help of a command with those settings that the command looks at.
func printHelp(options kong.HelpOptions, parsed *kong.Context) error {
	command := ""
	for node := parsed.Selected(); node != nil && node.Parent != nil; node = node.Parent {
		command = node.Name
	}
	for _, flag := range parsed.Model.Flags {
		if flag.Tag.Has("for") {
			flag.Hidden = !slices.Contains(strings.Fields(flag.Tag.Get("for")), command)
		}
	}
	return kong.DefaultHelpPrinter(options, parsed)
}

// helpOf shows the environment variable behind a flag. Kong itself does not know of it: see detachVariables.
func helpOf(value *kong.Value) string {
	if value.Flag == nil || len(value.Flag.Envs) == 0 {
		return value.Help
	}
	return strings.TrimSuffix(value.Help, ".") + " ($" + strings.Join(value.Flag.Envs, ", $") + ")."
}

// detachVariables keeps kong from reading this process's environment: what the environment says comes from the resolver,
// which was told what the environment is.
func detachVariables(model *kong.Application) {
	for _, flags := range flagsByVariable(model) {
		for _, flag := range flags {
			flag.Tag.Envs = nil
		}
	}
}
