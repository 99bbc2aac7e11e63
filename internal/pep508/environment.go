package pep508

import "strings"

// Environment holds the marker variables of a target (PEP 508 names).
type Environment struct {
	ImplementationName           string // cpython
	ImplementationVersion        string // 3.12.4
	OSName                       string // posix
	PlatformMachine              string // x86_64
	PlatformRelease              string
	PlatformSystem               string // Linux
	PlatformVersion              string
	PythonFullVersion            string // 3.12.4
	PlatformPythonImplementation string // CPython
	PythonVersion                string // 3.12
	SysPlatform                  string // linux
}

// Linux returns the environment of CPython on Linux; pythonFull is e.g. "3.11.2".
// The kernel's release and version are unknown for a target and stay empty.
func Linux(pythonFull, machine string) Environment {
	major, rest, _ := strings.Cut(pythonFull, ".")
	minor := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	return Environment{
		ImplementationName:           "cpython",
		ImplementationVersion:        pythonFull,
		OSName:                       "posix",
		PlatformMachine:              machine,
		PlatformSystem:               "Linux",
		PythonFullVersion:            pythonFull,
		PlatformPythonImplementation: "CPython",
		PythonVersion:                strings.TrimSuffix(major+"."+minor, "."),
		SysPlatform:                  "linux",
	}
}

// lookup returns a variable by its PEP 508 name. extra is in normal form already.
// extras and dependency_groups (PEP 751) are known to the grammar but have no
// value outside lock files.
func (e *Environment) lookup(variable, extra string) (string, bool) {
	switch variable {
	case "implementation_name":
		return e.ImplementationName, true
	case "implementation_version":
		return e.ImplementationVersion, true
	case "os_name":
		return e.OSName, true
	case "platform_machine":
		return e.PlatformMachine, true
	case "platform_release":
		return e.PlatformRelease, true
	case "platform_system":
		return e.PlatformSystem, true
	case "platform_version":
		return e.PlatformVersion, true
	case "python_full_version":
		// An untagged build of Python calls itself 3.13.0a1+, which is no version.
		if strings.HasSuffix(e.PythonFullVersion, "+") {
			return e.PythonFullVersion + "local", true
		}
		return e.PythonFullVersion, true
	case "platform_python_implementation":
		return e.PlatformPythonImplementation, true
	case "python_version":
		return e.PythonVersion, true
	case "sys_platform":
		return e.SysPlatform, true
	case "extra":
		return extra, true
	}
	return "", false
}

// isVersion tells which variables are compared as versions.
func isVersion(variable string) bool {
	switch variable {
	case "implementation_version", "platform_release", "python_full_version", "python_version":
		return true
	}
	return false
}
