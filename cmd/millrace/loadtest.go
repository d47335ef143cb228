package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"millrace/internal/kafka"
	"millrace/loadtest"
)

// loadtestFailed is the exit code of a run that did not hold what it had to; 1
// is for a run that could not take place.
const loadtestFailed = 2

// loadtestCommand drives this or any other Kafka REST proxy.
type loadtestCommand struct {
	Run     loadtestRun     `cmd:"" default:"withargs" help:"Put load on a proxy, verify what arrived, write a report (the default)."`
	List    loadtestList    `cmd:"" help:"List the scenarios that come with the program."`
	Targets loadtestTargets `cmd:"" help:"Write a scenario's requests as a target file for the vegeta command."`
}

type loadtestRun struct {
	Scenario string        `arg:"" optional:"" help:"A YAML file, or the name of one that comes with the program."`
	URL      string        `help:"The proxy." default:"http://localhost:8082"`
	Header   []string      `help:"'Name: value' to send, for example to authenticate. $${NAME} is taken from the environment, @FILE from a file; values are never shown. May be repeated." placeholder:"HEADER" sep:"none"`
	CA       string        `help:"PEM file with the authority that signed the proxy's certificate." type:"path" placeholder:"FILE"`
	Insecure bool          `help:"Do not check the proxy's certificate."`
	Brokers  []string      `help:"Kafka, to verify what arrived: HOST:PORT,…" placeholder:"HOST:PORT"`
	Config   string        `help:"Properties file with bootstrap.servers and client.*, for brokers that want TLS or a password." short:"c" type:"path" placeholder:"FILE"`
	PID      int           `help:"The proxy's process on this machine, to watch its CPU and memory." placeholder:"PID"`
	Dev      bool          `help:"Start millrace dev for the run, test that, and stop it."`
	Duration time.Duration `help:"Take about this long instead of what the scenario says." placeholder:"TIME"`
	Out      string        `help:"Directory of the report and its JSON." default:"loadtest-results" type:"path" placeholder:"DIR"`
	Compare  string        `help:"JSON of an earlier run, to set beside this one." type:"existingfile" placeholder:"FILE"`

	checkFlags
}

// Validate is called by kong.
func (c loadtestRun) Validate() error {
	if c.Duration < 0 {
		return errors.New("--duration must not be negative")
	}
	if c.PID < 0 {
		return errors.New("--pid must not be negative")
	}
	if c.Check == (c.Scenario != "") {
		return errors.New("name a scenario, or say --check")
	}
	return c.checkFlags.validate()
}

// Run carries out the scenario. The process exits with loadtestFailed when the
// scenario's expectations were missed, or a record, or a check found an anomaly.
func (c loadtestRun) Run() error {
	run := c.run
	if c.Check {
		run = c.check
	}
	pass, err := run()
	if err == nil && !pass {
		os.Exit(loadtestFailed)
	}
	return err
}

func (c loadtestRun) run() (pass bool, err error) {
	scenario, err := loadtest.Load(c.Scenario)
	if err != nil {
		return false, err
	}
	if c.Duration > 0 {
		scenario.SetDuration(c.Duration)
	}
	var earlier *loadtest.Result
	if c.Compare != "" { // before the run: a wrong file should not cost one
		if earlier, err = loadtest.ReadResult(c.Compare); err != nil {
			return false, err
		}
	}
	options, err := c.options()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var dev *devProxy
	if c.Dev {
		if dev, err = startDev(scenario.Partitions); err != nil {
			return false, err
		}
		defer dev.stop()
		options.URL, options.PID, options.Kafka.Brokers = dev.url, dev.cmd.Process.Pid, []string{dev.kafka}
		options.Remarks = []string{"the proxy's CPU and memory include those of the Kafka broker in its process (millrace dev)"}
	}
	go endOnSignal(cancel, dev)
	result, err := loadtest.Run(ctx, scenario, options)
	if err != nil {
		return false, err
	}
	result.WriteSummary(os.Stdout, options.Color)
	return result.Pass, c.write(result, earlier)
}

// endOnSignal ends the sending at the first signal, after which the report is
// still made, and the program at the second.
func endOnSignal(cancel context.CancelFunc, dev *devProxy) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	cancel()
	<-signals
	if dev != nil {
		_ = dev.cmd.Process.Kill()
	}
	os.Exit(1)
}

// options are what the flags say about the proxy and Kafka.
func (c loadtestRun) options() (o loadtest.Options, err error) {
	o = loadtest.Options{URL: c.URL, PID: c.PID, Progress: os.Stdout, Color: isTerminal(os.Stdout)}
	if o.Headers, err = loadtest.ReadHeaders(c.Header); err != nil {
		return o, err
	}
	if c.CA != "" || c.Insecure {
		o.TLS = &tls.Config{InsecureSkipVerify: c.Insecure}
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return o, fmt.Errorf("cannot read the authority: %w", err)
		}
		if o.TLS.RootCAs = x509.NewCertPool(); !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return o, fmt.Errorf("cannot use %s: it has no PEM certificate", c.CA)
		}
	}
	o.Kafka = kafka.Settings{Brokers: c.Brokers}
	if c.Config != "" {
		cfg, err := sources{Config: c.Config}.load()
		if err != nil {
			return o, err
		}
		o.Kafka = cfg.Kafka
		if len(c.Brokers) > 0 {
			o.Kafka.Brokers = c.Brokers
		}
	}
	return o, nil
}

// write leaves the report and its JSON in c.Out.
func (c loadtestRun) write(r, earlier *loadtest.Result) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	base := filepath.Join(c.Out, r.Scenario+"-"+r.Started.Format("20060102-150405"))
	for _, file := range []struct {
		path  string
		write func(*os.File) error
	}{
		{base + ".json", func(f *os.File) error { return r.WriteJSON(f) }},
		{base + ".html", func(f *os.File) error { return r.WriteReport(f, earlier) }},
	} {
		f, err := os.Create(file.path)
		if err != nil {
			return fmt.Errorf("cannot write the report: %w", err)
		}
		if err := errors.Join(file.write(f), f.Close()); err != nil {
			return fmt.Errorf("cannot write %s: %w", file.path, err)
		}
	}
	fmt.Printf("report  %s.html\nJSON    %[1]s.json\n", base)
	return nil
}

// isTerminal reports whether f is one that shows colours.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

type loadtestList struct{}

// Run prints the scenarios.
func (loadtestList) Run() error {
	scenarios, err := loadtest.Builtin()
	if err != nil {
		return err
	}
	for _, s := range scenarios {
		fmt.Printf("%-16s %s\n", s.Name, s.About)
	}
	return nil
}

type loadtestTargets struct {
	Scenario string `arg:"" help:"A YAML file, or the name of one that comes with the program."`
	URL      string `help:"The proxy." default:"http://localhost:8082"`
	Count    int    `help:"How many requests; vegeta begins again at the end of the file, unless told -lazy." default:"1000"`
}

// maxTargets bounds a target file, which is written whole.
const maxTargets = 10_000_000

// Validate is called by kong.
func (c loadtestTargets) Validate() error {
	if c.Count < 1 || c.Count > maxTargets {
		return fmt.Errorf("--count must be from 1 to %d", maxTargets)
	}
	return nil
}

// Run writes the targets to standard output.
func (c loadtestTargets) Run() error {
	scenario, err := loadtest.Load(c.Scenario)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	if err := loadtest.WriteTargets(out, scenario, c.URL, c.Count); err != nil {
		return err
	}
	return out.Flush()
}

// devProxy is a `millrace dev` of our own.
type devProxy struct {
	cmd        *exec.Cmd
	url, kafka string
}

// devAddresses finds the addresses in what `millrace dev` prints.
var devAddresses = regexp.MustCompile(`^\s+(REST API|Kafka)\s+(\S+)`)

// startDev starts this program once more, as `dev` on free ports, in a process
// of its own so that its CPU and memory can be told from the generator's.
func startDev(partitions int) (*devProxy, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	d := &devProxy{cmd: exec.Command(self, "dev", "--kafka-port=0", "--registry-port=0", "--set=listeners=http://127.0.0.1:0",
		"--retain=1024", fmt.Sprintf("--partitions=%d", partitions))}
	d.cmd.Stderr = os.Stderr
	// A Ctrl-C is for us; we stop it when we are done with it.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start millrace dev: %w", err)
	}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start millrace dev: %w", err)
	}
	lines := bufio.NewScanner(out)
	for (d.url == "" || d.kafka == "") && lines.Scan() {
		switch m := devAddresses.FindStringSubmatch(lines.Text()); {
		case m == nil:
		case m[1] == "Kafka":
			d.kafka = m[2]
		default:
			d.url = m[2]
		}
	}
	if d.url == "" || d.kafka == "" {
		d.stop()
		return nil, errors.New("cannot start millrace dev: it did not say where it is")
	}
	go func() {
		for lines.Scan() { // it must not block on a full pipe
		}
	}()
	return d, nil
}

func (d *devProxy) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	_ = d.cmd.Wait()
}
