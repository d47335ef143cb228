package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat, USER_HZ, which is 100 on every
// architecture that Go runs on.
const tick = 10 * time.Millisecond

// Usage is what a process has used since it began.
type Usage struct {
	// CPU is user and system time, to a hundredth of a second.
	CPU time.Duration
	// RSS is the resident memory in bytes, Peak the most that it ever was.
	RSS, Peak int64
}

// ReadUsage reads the usage of a process of this machine. It needs Linux.
func ReadUsage(pid int) (u Usage, err error) {
	if u.CPU, err = cpuTime(pid); err == nil {
		u.RSS, u.Peak, err = memory(pid)
	}
	if err != nil {
		return Usage{}, fmt.Errorf("cannot read the usage of process %d: %w", pid, err)
	}
	return u, nil
}

func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may hold blanks and parentheses
	// itself; the fields behind it are counted from its end.
	const userTime, systemTime = 11, 12
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= systemTime {
		return 0, fmt.Errorf("its stat has only %d fields", len(fields))
	}
	user, err1 := strconv.ParseInt(string(fields[userTime]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[systemTime]), 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

func memory(pid int) (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	now, err1 := kibibytes(text, "VmRSS")
	peak, err2 := kibibytes(text, "VmHWM")
	return now, peak, errors.Join(err1, err2)
}

func kibibytes(status []byte, name string) (int64, error) {
	value, ok := procValue(status, name)
	if !ok {
		return 0, fmt.Errorf("its status has no %s", name)
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("its %s is %q", name, value)
	}
	return kib << 10, nil
}

// procValue returns the text after the first "name:" of a file of /proc.
func procValue(text []byte, name string) (string, bool) {
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// Sockets counts the sockets that a process has open.
func Sockets(pid int) (n int, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("cannot count the connections of process %d: %w", pid, err)
	}
	for _, f := range files {
		if to, err := os.Readlink(dir + "/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n, nil
}

// Processor returns the model of this machine's processor, "" where the kernel
// does not say.
func Processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	model, _ := procValue(text, "model name")
	return model
}

// Kernel returns the release of this machine's kernel, "" if it is not Linux.
func Kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
