package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc/PID/stat, USER_HZ, which is 100 on
// every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime returns the user and system time that a process has used, to a
// hundredth of a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cannot read the CPU time of process %d: %w", pid, err)
	}
	// The name before the last ) may hold anything; utime and stime are
	// fields 14 and 15, and the state after the name is field 3.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot read the CPU time of process %d: /proc/%d/stat is short", pid, pid)
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("cannot read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(user+system) * tick, nil
}

// residentBytes returns the memory of a process that is resident (VmRSS), and
// the most that ever was (VmHWM).
func residentBytes(pid int) (now, peak int64, err error) {
	if now, err = statusBytes(pid, "VmRSS"); err == nil {
		peak, err = statusBytes(pid, "VmHWM")
	}
	return now, peak, err
}

func statusBytes(pid int, name string) (int64, error) {
	value, err := procValue(fmt.Sprintf("/proc/%d/status", pid), name)
	if err != nil {
		return 0, err
	}
	kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read the memory of process %d: %w", pid, err)
	}
	return kib << 10, nil
}

// procValue returns what stands after the first "name:" of a file in /proc.
func procValue(file, name string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, err)
	}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("cannot read %s: %s does not have it", name, file)
}
