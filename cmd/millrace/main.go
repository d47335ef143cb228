// Command millrace is an HTTP front end to Apache Kafka.
//
//	millrace serve --config kafka-rest.properties   a node in front of a Kafka cluster
//	millrace dev                                    a node with a broker of its own, to try it
//	millrace loadtest --dev mixed                   load on a node, and a check of the outcome
//	millrace tune --topic NAME                      the compression that suits a topic's records
//	millrace dead show --topic orders.dead          events that ingest routes have refused
//	millrace check-config --config FILE             everything that is wrong with a configuration
//	millrace settings producer                      what there is to set
//	millrace docs access                            a page of the documentation
//	millrace healthcheck                            asks the node on this machine, in containers
//	millrace key new ID                             an API key, and its entry in the file of keys
//	millrace auth test --as WHO POST /topics/t      which rule lets a caller in, or not
//	millrace metrics                                what /metrics shows
//	millrace completion bash                        completes commands and flags
//	millrace version
//
// This package reads the command line, builds the parts and connects them; it
// decides nothing that a request depends on. Start at run in node.go.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// The source that the binary was built from, stamped by `make build`: -ldflags "-X
// main.version=…".
var (
	version   = "devel"
	commit    string // short, empty where git did not say
	committed string // when, in UTC; not when it was built, so that two builds are the same
)

// commandLine is the whole of it, as kong reads it.
type commandLine struct {
	Serve       serveCommand       `cmd:"" help:"Serve the REST API in front of a Kafka cluster."`
	Dev         devCommand         `cmd:"" help:"Serve it with a broker inside this process, to try things out."`
	Loadtest    loadtestCommand    `cmd:"" help:"Put load on a Kafka REST proxy, and verify what it did with it."`
	Tune        tuneCommand        `cmd:"" help:"Find the compression that suits a topic's records, with the figures behind it."`
	Dead        deadCommand        `cmd:"" help:"Show and replay the events of a dead-letter topic."`
	CheckConfig checkConfigCommand `cmd:"" help:"Say everything that is wrong with a configuration, or show what it comes to."`
	Settings    settingsCommand    `cmd:"" help:"List the settings: what each does, its default, and what is allowed."`
	Docs        docsCommand        `cmd:"" help:"Print a page of the documentation."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the node on this machine whether it is well; for containers, which have no curl."`
	Key         keyCommand         `cmd:"" help:"Make API keys."`
	Auth        authCommand        `cmd:"" help:"Test the rules about callers."`
	Metrics     metricsCommand     `cmd:"" help:"List the metrics that a node shows on /metrics."`
	Completion  completionCommand  `cmd:"" help:"Print a script that has a shell complete this command line."`
	Version     versionCommand     `cmd:"" help:"Print the version."`

	VersionFlag versionFlag `name:"version" help:"Print the version."`
}

// wrongUsage is the exit code of a command line that is wrong.
const wrongUsage = 80

func main() {
	var cli commandLine
	parser := kong.Must(&cli,
		kong.Name("millrace"),
		kong.Description("An HTTP front end to Apache Kafka, compatible with the Confluent Kafka REST Proxy."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		refuseUsage(os.Stderr, err)
		os.Exit(wrongUsage)
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "millrace: %v\n", err)
		os.Exit(1)
	}
}

// refuseUsage reports what is wrong with the command line in one line, which names the help of the
// command. The help itself would push the reason off the screen.
func refuseUsage(w io.Writer, err error) {
	command := "millrace"
	var parsed *kong.ParseError
	if errors.As(err, &parsed) && parsed.Context != nil && parsed.Context.Selected() != nil {
		command = parsed.Context.Selected().FullPath()
	}
	fmt.Fprintf(w, "millrace: %v; see %s --help\n", err, command)
}

// versionFlag is --version, for those who try that first.
type versionFlag bool

// BeforeReset prints the version and ends the program; kong calls it before it asks for a command.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	err := printVersion(app.Stdout)
	if err == nil {
		app.Exit(0)
	}
	return err
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error { return printVersion(os.Stdout) }

// printVersion prints the version, the commit and its time if the build knows them, and the Go
// version.
func printVersion(w io.Writer) error {
	from := revision()
	if committed != "" {
		from += ", " + committed
	}
	if from != "" {
		from = " (" + from + ")"
	}
	_, err := fmt.Fprintf(w, "millrace %s%s %s %s/%s\n", version, from, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// revision is the commit that the program was built from, if the build knows it.
func revision() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}
