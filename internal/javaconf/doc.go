// Package javaconf parses the file formats that configure Java programs: properties files, JAAS
// logins, and key and trust stores in JKS, PKCS#12 and PEM.
//
// It holds parsers only. It knows no setting, opens no file and builds no configuration of TLS or
// SASL: package config does. It follows Java where Java and the formats' descriptions differ, and
// the tests compare with Java itself where it is installed.
//
// No error quotes text that may be a secret: errors of a JAAS text name the position, those of a
// store the kind of fault.
//
// All functions may run concurrently; they borrow their arguments, and the caller owns their
// results.
package javaconf
