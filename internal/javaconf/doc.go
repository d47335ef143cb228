// Package javaconf reads the files and texts in which Java programs are configured:
// properties files, JAAS logins, and key and trust stores in JKS, PKCS#12 and PEM.
//
// It holds parsers only. It knows no setting, opens no file and builds no
// configuration of TLS or SASL: package config does. It follows Java where Java
// and the formats' descriptions differ, and the tests ask Java itself where it is
// installed.
//
// No error quotes what may be a secret: errors of a JAAS text say where, those of a
// store what kind of thing is wrong.
//
// All functions may run at once; they borrow their arguments, and what they return
// is the caller's.
package javaconf
