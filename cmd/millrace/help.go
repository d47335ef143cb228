package main

// The Help methods hold what --help prints beyond flags: kong puts it below the command's own
// line. Indented lines stay as they are.

// Help is of the program.
func (commandLine) Help() string {
	return `Try it, with a broker in the same process, and then in front of a cluster:

    millrace dev
    millrace serve --set bootstrap.servers=kafka:9092
    millrace serve --config kafka-rest.properties

Settings come from the file of --config, then from the environment, then from --set; the later one wins. The variable of a setting is KAFKA_REST_ and its name in capitals with _ for each dot, as in KAFKA_REST_BOOTSTRAP_SERVERS. "millrace check-config" shows what holds and where it comes from, and "millrace settings" what there is to set.

Exit codes:

    0   it is done; serve and dev: ended by SIGTERM or SIGINT, with nothing lost
    1   it failed, for the reason on standard error
    2   loadtest only: something that had to hold did not
    80  the command line is wrong

Files, where "make install" and the systemd unit have them:

    /etc/millrace/millrace.properties       settings
    /etc/millrace/secrets.env               settings that are secrets, as KAFKA_REST_NAME=value
    /etc/systemd/system/millrace.service    the unit`
}

// Help is of serve.
func (serveCommand) Help() string {
	return `Examples:

    millrace serve --config kafka-rest.properties
    KAFKA_REST_BOOTSTRAP_SERVERS=kafka:9092 millrace serve --set listeners=http://0.0.0.0:8082

SIGTERM drains: /readyz answers 503, requests in flight are answered, consumers leave their groups, records are flushed; exit code 0 within shutdown.graceful.ms. A second signal ends it at once, with 1. SIGHUP reads the file and the environment again and takes the settings that can change while it runs.

Traces are exported where OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, names a collector; the other variables of OpenTelemetry work too.`
}

// Help is of dev.
func (devCommand) Help() string {
	return `Examples:

    millrace dev
    millrace dev --port 9000
    millrace dev --partitions 3 --data ./dev-data

It listens on this machine alone, 127.0.0.1:8082 or the port of --port, for whoever reaches it can change its settings. In a container, or for other machines: --set listeners=http://0.0.0.0:8082, and --set hosts.own=NAME with the name that they use.

The broker and the schema registry listen for clients of their own kinds too, at the addresses that are printed at the start. It is for trying things out and for tests, not for records that matter.`
}

// Help is of loadtest.
func (loadtestCommand) Help() string {
	return `Examples:

    millrace loadtest list
    millrace loadtest --dev mixed
    millrace loadtest --url http://proxy:8082 --brokers kafka:9092 produce-1x64
    millrace loadtest --url http://proxy:8082 --header 'Authorization: Bearer ${TOKEN}' --config client.properties my.yaml
    millrace loadtest --check --dev
    millrace loadtest --check --url http://proxy:8082 --brokers kafka:9092 --duration 60s --seed 7
    millrace loadtest targets produce-10x64 > targets.json

The flags are those of "millrace loadtest run --help"; run may be left out. With --brokers, or --config, all that was acknowledged is read back from Kafka, and what consumers were given is held against it. The report and its JSON go to loadtest-results. With --check there is no scenario and no load: clients produce and consume, each request and its answer is noted, Kafka is read past the proxy, and every difference is reported by name ("millrace docs check"). The first Ctrl-C ends the sending, after which there is still a report; the second ends the program.

Exit codes:

    0  all that was expected held
    1  the run could not take place
    2  something that was expected did not hold, or a record was lost, doubled, reordered or not delivered, or a check found an anomaly`
}

// Help is of tune.
func (tuneCommand) Help() string {
	return `Examples:

    millrace tune --topic clicks --brokers kafka:9092
    millrace tune --topic clicks --config kafka-rest.properties --rate 50000 --plot tune.html
    millrace tune --file events.ndjson
    zcat old/*.gz | millrace tune --file -

It reads the newest records of the topic, or lines of a file, compresses them with every codec and level in batches as they would be sent, and says which producer.compression.type to set, by what CPU, network and disk cost. That takes half a minute of one core, and twice that for a sample of 8 MB.`
}

// Help is of dead.
func (deadCommand) Help() string {
	return `Examples:

    millrace dead show --brokers kafka:9092 --topic orders.dead --reason event_misfit
    millrace dead replay --brokers kafka:9092 --topic orders.dead --route orders --url http://node:8082

Replaying posts each event to its route again, with the query and the headers that the rules of the route read; the topic keeps it. What is refused again is in the topic a second time. docs/ingest.md says what a dead letter has.`
}

// Help is of check-config.
func (checkConfigCommand) Help() string {
	return `Examples:

    millrace check-config --config kafka-rest.properties
    millrace check-config --config kafka-rest.properties --connect

It prints every setting that holds, with where it comes from and secrets masked, and exits with 0; or all that is wrong, with file and line, and exits with 1. Settings of the Confluent proxy that mean something to Java only are listed as not used. With --connect it also tries every bootstrap server, every broker that these name, and the schema registry, with the TLS and the login of the settings, and says of each what it found; it exits with 1 unless all can be used. It writes nothing and reads no record.`
}

// Help is of settings.
func (settingsCommand) Help() string {
	return `Examples:

    millrace settings
    millrace settings | grep -i timeout
    millrace settings producer.
    millrace settings producer.linger.ms

It lists the settings with that in their name, one a line, and tells all about one where it is the only one.`
}

// Help is of docs.
func (docsCommand) Help() string {
	return `Examples:

    millrace docs
    millrace docs access | less

The pages are those of this version.`
}

// Help is of healthcheck.
func (healthcheckCommand) Help() string {
	return `Examples:

    millrace healthcheck
    millrace healthcheck --ready --config /etc/millrace/millrace.properties
    millrace healthcheck --url http://localhost:8082

It exits with 0 where the node answers 200, else with 1 and the reason. Without --url it asks the first listener of the settings, which it reads as "millrace serve" does. In a Dockerfile:

    HEALTHCHECK CMD ["/millrace", "healthcheck"]`
}

// Help is of metrics.
func (metricsCommand) Help() string {
	return `Names, types and labels are those of /metrics of "millrace serve"; "millrace docs metrics" has the same list.

    millrace metrics | grep latency`
}

// Help is of completion.
func (completionCommand) Help() string {
	return `For this session, or in the shell's start-up file:

    source <(millrace completion bash)
    source <(millrace completion zsh)
    millrace completion fish | source

"make install" puts them where the shells look by themselves.`
}
