package testkit

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
)

// KafkaVersion is the Kafka that pom.xml asks for, RegistryVersion the Apicurio
// Registry.
const (
	KafkaVersion    = "4.4.0"
	RegistryVersion = "3.0.9"
)

// minJava is the oldest Java that Kafka 4 runs on.
const minJava = 17

//go:embed pom.xml
var pom []byte

// ErrNoJava says that this machine lacks what a real Kafka and a real schema
// registry need. Its text is the one line that tells how to get it.
var ErrNoJava = errors.New("REAL KAFKA AND SCHEMA REGISTRY NOT TESTED: needs Java 17 or newer and Maven" +
	" (Debian: apt-get install default-jdk-headless maven; macOS: brew install openjdk maven)")

// ModuleRoot returns the folder of this module's go.mod, found upwards from the
// working directory, which `go test` sets to the package's folder.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the module's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("cannot find the module's root: no go.mod above the working directory")
		}
		dir = up
	}
}

// kafkaJars returns the folder with Kafka's jars.
func kafkaJars(ctx context.Context) (string, error) {
	return install(ctx, "kafka-"+KafkaVersion, func(ctx context.Context, mvn, work, dir string) error {
		file := filepath.Join(work, "pom.xml")
		if err := os.WriteFile(file, pom, 0o644); err != nil {
			return fmt.Errorf("cannot write the download's pom.xml: %w", err)
		}
		return run(ctx, mvn, "--batch-mode", "--quiet", "--file", file,
			"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+dir)
	})
}

// registryJars returns the folder with the schema registry.
func registryJars(ctx context.Context) (string, error) {
	return install(ctx, "apicurio-registry-"+RegistryVersion, func(ctx context.Context, mvn, work, dir string) error {
		err := run(ctx, mvn, "--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy",
			"-Dartifact=io.apicurio:apicurio-registry-app:"+RegistryVersion+":tar.gz:all", "-DoutputDirectory="+work)
		if err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make a folder: %w", err)
		}
		return run(ctx, "tar", "-xzf", filepath.Join(work, "apicurio-registry-app-"+RegistryVersion+"-all.tar.gz"), "-C", dir)
	})
}

// install returns the folder .cache/NAME under the module's root, and has fetch
// fill it, by Maven, when it is not there. The packages of one `go test` are
// processes side by side, so a lock file lets one of them download while the
// others wait. The folder gets its name only when it is complete: a download
// that was cut off leaves nothing that looks finished.
func install(ctx context.Context, name string, fetch func(ctx context.Context, mvn, work, dir string) error) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(root, ".cache")
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", ErrNoJava
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the download cache: %w", err)
	}
	unlock, err := lockFile(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil { // another process was faster
		return dir, nil
	}
	work, err := os.MkdirTemp(cache, "download-*")
	if err != nil {
		return "", fmt.Errorf("cannot make the download cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	got := filepath.Join(work, "got")
	if err := fetch(ctx, mvn, work, got); err != nil {
		return "", fmt.Errorf("cannot download %s: %w", name, err)
	}
	if err := os.Rename(got, dir); err != nil {
		return "", fmt.Errorf("cannot keep the download of %s: %w", name, err)
	}
	return dir, nil
}

// run runs a program to its end.
func run(ctx context.Context, program string, args ...string) error {
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run %s: %w\n%s", program, err, out)
	}
	return nil
}

// lockFile waits until this process alone holds the lock at path. The kernel
// gives the lock back when the process ends, however it ends.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock of the download cache: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot lock the download cache: %w", err)
	}
	return func() { _ = f.Close() }, nil
}

// findJava returns the java to run, from JAVA_HOME or else PATH, or
// [ErrNoJava] when there is none that is new enough.
func findJava(ctx context.Context) (string, error) {
	path, _, err := findJavaVersion(ctx)
	return path, err
}

// findJavaVersion is findJava, with what that java prints of its version.
func findJavaVersion(ctx context.Context) (path string, printed []byte, err error) {
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
	}
	if path, err = exec.LookPath(java); err != nil {
		return "", nil, ErrNoJava
	}
	printed, err = exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if err != nil || javaMajor(printed) < minJava {
		return "", nil, ErrNoJava
	}
	return path, printed, nil
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// javaMajor reads the major version out of what `java -version` prints, 0 when
// it is not there. Java 8 and older call themselves 1.x.
func javaMajor(printed []byte) int {
	m := javaVersion.FindSubmatch(printed)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return n
}

// kafkaProgram is what it takes to run Kafka.
type kafkaProgram struct {
	java, jars string
	archive    []string // flags of the virtual machine, see kafkaArchive
}

// findKafka returns the program of Kafka, which is downloaded if it is not there yet.
func findKafka(ctx context.Context) (p kafkaProgram, err error) {
	var version []byte
	if p.java, version, err = findJavaVersion(ctx); err != nil {
		return p, err
	}
	if p.jars, err = kafkaJars(ctx); err != nil {
		return p, err
	}
	p.archive = kafkaArchive(ctx, p, version)
	return p, nil
}

// kafkaArchive returns the flag with which a virtual machine takes Kafka's classes from an archive,
// loaded and verified, rather than from jars: a start takes half of the CPU. The archive is for one
// Java and one folder of jars. The first call of all makes it beside the jars, by a broker that is
// stopped when it is up; the others wait for it. Without it Kafka starts as well, hence no error.
func kafkaArchive(ctx context.Context, p kafkaProgram, version []byte) []string {
	path := fmt.Sprintf("%s-%.6x.jsa", p.jars, sha256.Sum256(append([]byte(p.java+"\n"), version...)))
	use := []string{"-XX:SharedArchiveFile=" + path, "-Xlog:disable", "-Xlog:all=error:stderr"}
	if _, err := os.Stat(path); err == nil {
		return use
	}
	unlock, err := lockFile(p.jars + ".jsa.lock")
	if err != nil {
		return nil
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil { // another process was faster
		return use
	}
	k, err := newKafka(ctx, p, KafkaOptions{Flags: append(slices.Clone(ShortLived), "-XX:ArchiveClassesAtExit="+path+".new")})
	if err != nil {
		return nil
	}
	k.Stop()
	k.Close()
	if os.Rename(path+".new", path) != nil {
		return nil
	}
	return use
}
