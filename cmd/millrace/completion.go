package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"millrace/config"
	"millrace/loadtest"
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

// writeCompletion writes a script that completes commands, what stands below each, its flags and
// its arguments, where these are known: shells, scenarios, pages. The value of --set is completed
// as a setting, that of another flag as a file.
func writeCompletion(out io.Writer, shell string, app *kong.Application) error {
	var b strings.Builder
	switch shell {
	case "zsh":
		writeZsh(&b, app)
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
	fmt.Fprintf(b, "\tif [[ ${COMP_WORDS[COMP_CWORD-1]} == --set ]]; then\n\t\tcompopt -o nospace 2>/dev/null\n\t\tCOMPREPLY=($(compgen -W %q -- \"${COMP_WORDS[COMP_CWORD]}\"))\n\t\treturn\n\tfi\n", strings.Join(settingWords(), " "))
	// The value of a flag is left to the shell, which knows files.
	b.WriteString("\t[[ ${COMP_WORDS[COMP_CWORD-1]} == --* && ${COMP_WORDS[COMP_CWORD]} != -* ]] && return\n")
	b.WriteString("\tcase \"${COMP_WORDS[1]}\" in\n")
	for _, command := range app.Children {
		var names []string
		for _, w := range wordsOf(command) {
			names = append(names, w.name)
		}
		fmt.Fprintf(b, "\t%s) words=%q ;;\n", command.Name, strings.Join(names, " "))
	}
	fmt.Fprintf(b, "\tesac\n\t[ \"$COMP_CWORD\" = 1 ] && words=%q\n", strings.Join(commandNames(app), " "))
	fmt.Fprintf(b, "\tCOMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\ncomplete -o default -F _%s %[1]s\n", app.Name)
}

// writeZsh writes a script that does when sourced, and as a file named _millrace
// in $fpath, where zsh runs it at the first completion.
func writeZsh(b *strings.Builder, app *kong.Application) {
	described := func(words []word) {
		for _, w := range words {
			// In zsh's quotes everything stands for itself but the quote; a
			// colon divides word and description.
			fmt.Fprintf(b, "\t\t'%s:%s'\n", strings.ReplaceAll(w.name, ":", `\:`), strings.ReplaceAll(w.help, "'", `'\''`))
		}
	}
	fmt.Fprintf(b, "#compdef %s\n\n_%[1]s() {\n\tlocal -a words_here\n", app.Name)
	fmt.Fprintf(b, "\tif [[ ${words[CURRENT-1]} == --set ]]; then compadd -S '' -- %s; return; fi\n", strings.Join(settingWords(), " "))
	// The value of a flag is left to the shell, which knows files.
	b.WriteString("\tif [[ ${words[CURRENT-1]} == --* && ${words[CURRENT]} != -* ]]; then _files; return; fi\n")
	b.WriteString("\tif (( CURRENT == 2 )); then words_here=(\n")
	var commands []word
	for _, command := range app.Children {
		commands = append(commands, word{name: command.Name, help: command.Help})
	}
	described(commands)
	b.WriteString("\t)\n\telse case ${words[2]} in\n")
	for _, command := range app.Children {
		fmt.Fprintf(b, "\t%s) words_here=(\n", command.Name)
		described(wordsOf(command))
		b.WriteString("\t);;\n")
	}
	fmt.Fprintf(b, "\tesac; fi\n\t_describe %s words_here || _files\n}\n\n", app.Name)
	fmt.Fprintf(b, "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n")
	fmt.Fprintf(b, "if [ \"$funcstack[1]\" = _%s ]; then _%[1]s; else compdef _%[1]s %[1]s; fi\n", app.Name)
}

func writeFish(b *strings.Builder, app *kong.Application) {
	for _, command := range app.Children {
		fmt.Fprintf(b, "complete -c %s -n __fish_use_subcommand -f -a %s -d %s\n", app.Name, command.Name, fishText(command.Help))
		for _, w := range wordsOf(command) {
			long, isFlag := strings.CutPrefix(w.name, "--")
			option := "-f -a"
			if isFlag {
				option = "-l"
			}
			if w.value {
				option = "-r " + option
			}
			if w.name == "--set" {
				option = fmt.Sprintf("-f -a %q %s", strings.Join(settingWords(), " "), option)
			}
			fmt.Fprintf(b, "complete -c %s -n '__fish_seen_subcommand_from %s' %s %s -d %s\n", app.Name, command.Name, option, long, fishText(w.help))
		}
	}
}

// fishText quotes a text for fish.
func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

func commandNames(app *kong.Application) (names []string) {
	for _, command := range app.Children {
		names = append(names, command.Name)
	}
	return names
}

// word is a command or a flag.
type word struct {
	name, help string
	value      bool // of a flag that is followed by one
}

// wordsOf are the flags of a command, what its arguments may be, and the commands below it with
// theirs.
func wordsOf(command *kong.Node) (words []word) {
	for _, group := range command.AllFlags(true) {
		for _, flag := range group {
			words = append(words, word{"--" + flag.Name, flag.Help, !flag.IsBool()})
		}
	}
	for _, argument := range command.Positional {
		words = append(words, argumentsOf(argument)...)
	}
	for _, below := range command.Children {
		words = append(words, word{name: below.Name, help: below.Help})
		words = append(words, wordsOf(below)...)
	}
	slices.SortFunc(words, func(a, b word) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(words, func(a, b word) bool { return a.name == b.name })
}

// argumentsOf are the values of an argument, where they are known.
func argumentsOf(argument *kong.Positional) (words []word) {
	switch argument.Name {
	case "shell":
		for _, shell := range argument.EnumSlice() {
			words = append(words, word{name: shell, help: "The script for " + shell + "."})
		}
	case "scenario":
		scenarios, err := loadtest.Builtin()
		if err != nil {
			panic("BUG: " + err.Error())
		}
		for _, s := range scenarios {
			words = append(words, word{name: s.Name, help: s.About})
		}
	case "page":
		for _, name := range docPages() {
			words = append(words, word{name: name, help: "The page docs/" + name + ".md."})
		}
	case "name":
		for _, s := range config.Reference() {
			words = append(words, word{name: s.Name, help: s.Allowed})
		}
	}
	return words
}

// settingWords are the settings as they begin after --set.
func settingWords() (words []string) {
	for _, s := range config.Reference() {
		words = append(words, s.Name+"=")
	}
	return words
}
