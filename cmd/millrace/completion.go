package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the completion script of a shell:
//
//	source <(millrace completion bash)
func (c completionCommand) Run(ctx *kong.Context) error {
	return writeCompletion(os.Stdout, c.Shell, ctx.Model)
}

// writeCompletion writes a script that completes commands, and what stands below
// each and its flags; what follows a flag is completed as a file.
func writeCompletion(out io.Writer, shell string, app *kong.Application) error {
	var b strings.Builder
	switch shell {
	case "zsh": // understands bash's
		b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
		writeBash(&b, app)
	case "fish":
		writeFish(&b, app)
	default:
		writeBash(&b, app)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func writeBash(b *strings.Builder, app *kong.Application) {
	fmt.Fprintf(b, "_%s() {\n\tlocal words\n\tCOMPREPLY=()\n", app.Name)
	// The value of a flag is left to the shell, which knows files.
	b.WriteString("\t[[ ${COMP_WORDS[COMP_CWORD-1]} == --* && ${COMP_WORDS[COMP_CWORD]} != -* ]] && return\n")
	b.WriteString("\tcase \"${COMP_WORDS[1]}\" in\n")
	for _, command := range app.Children {
		fmt.Fprintf(b, "\t%s) words=%q ;;\n", command.Name, strings.Join(flagNames(command), " "))
	}
	fmt.Fprintf(b, "\tesac\n\t[ \"$COMP_CWORD\" = 1 ] && words=%q\n", strings.Join(commandNames(app), " "))
	fmt.Fprintf(b, "\tCOMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o default -F _%s %[1]s\n", app.Name)
}

func writeFish(b *strings.Builder, app *kong.Application) {
	for _, command := range app.Children {
		fmt.Fprintf(b, "complete -c %s -n __fish_use_subcommand -f -a %s -d %q\n", app.Name, command.Name, command.Help)
		for _, flag := range flagNames(command) {
			long, isFlag := strings.CutPrefix(flag, "--")
			option := "-a"
			if isFlag {
				option = "-l"
			}
			fmt.Fprintf(b, "complete -c %s -n '__fish_seen_subcommand_from %s' %s %s\n", app.Name, command.Name, option, long)
		}
	}
}

func commandNames(app *kong.Application) (names []string) {
	for _, command := range app.Children {
		names = append(names, command.Name)
	}
	return names
}

// flagNames are the flags of a command, and the commands below it with theirs.
func flagNames(command *kong.Node) (names []string) {
	for _, group := range command.AllFlags(true) {
		for _, flag := range group {
			names = append(names, "--"+flag.Name)
		}
	}
	for _, below := range command.Children {
		names = append(names, below.Name)
		names = append(names, flagNames(below)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
