package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"millrace/internal/testkit"
)

// instruction is a line of the Dockerfile, with those that it goes on in.
type instruction struct{ name, args string }

// dockerfile reads the Dockerfile stage by stage.
func dockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	text := strings.ReplaceAll(deployed(t, "docker", "Dockerfile"), "\\\n", " ")
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) == 0 {
			t.Fatalf("%s stands before the first FROM", line)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, strings.TrimSpace(args)})
	}
	return stages
}

// TestDockerfile reads the Dockerfile as far as that is possible without a
// daemon: it does not build. Instructions are Docker's, what is copied exists
// and is in the context, and what runs is our make, as nobody.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"FROM", "WORKDIR", "COPY", "RUN", "ARG", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
	ignored := strings.Fields(deployed(t, "..", ".dockerignore"))
	var names []string
	stages := dockerfile(t)
	if len(stages) != 3 {
		t.Errorf("there are %d stages", len(stages))
	}
	for n, stage := range stages {
		last := map[string]string{}
		for _, i := range stage {
			last[i.name] = i.args
			if !slices.Contains(known, i.name) {
				t.Errorf("stage %d: %s is no instruction that is used here", n, i.name)
			}
			args := strings.Fields(i.args)
			switch i.name {
			case "FROM":
				if len(args) == 3 && args[1] == "AS" {
					names = append(names, args[2])
				}
			case "COPY":
				from, staged := strings.CutPrefix(args[0], "--from=")
				if staged && !slices.Contains(names, from) {
					t.Errorf("stage %d copies from %s, which is no stage before it", n, from)
				}
				for _, source := range args[:len(args)-1] {
					if slices.Contains(ignored, source) {
						t.Errorf("stage %d copies %s, which .dockerignore keeps away", n, source)
					}
					// bin/millrace exists once it was built.
					if _, err := os.Stat(filepath.Join(root, source)); err != nil && !staged && source != "bin/millrace" {
						t.Errorf("stage %d copies %s: %v", n, source, err)
					}
				}
			case "RUN":
				if target, isMake := strings.CutPrefix(i.args, "make "); isMake {
					runMake(t, root, "-n", strings.Fields(target)[0])
				}
			}
		}
		if last["FROM"] != "scratch" && !strings.HasPrefix(last["FROM"], "scratch ") {
			continue
		}
		user, _, _ := strings.Cut(last["USER"], ":")
		if user == "" || user == "0" || user == "root" || last["ENTRYPOINT"] != `["/millrace"]` || last["CMD"] != `["serve"]` || last["STOPSIGNAL"] != "SIGTERM" ||
			last["HEALTHCHECK"] != `CMD ["/millrace", "healthcheck"]` {
			t.Errorf("stage %d runs %s %s as %q until %s", n, last["ENTRYPOINT"], last["CMD"], user, last["STOPSIGNAL"])
		}
	}
	goVersion := captured(t, `FROM golang:(\S+) AS build`, "docker", "Dockerfile")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !strings.Contains(string(mod), "\ngo "+goVersion+".") {
		t.Errorf("the image has Go %s, go.mod wants another: %v", goVersion, err)
	}
}
