// Package auth decides who a caller is and what it may do.
//
// An [Access] holds what the operator configured: a file of passwords, a file of API keys, the
// mapping of client certificates, the keys that sign tokens, and a file of rules and quotas.
// [Access.Identify] turns the [Credentials] of a request into an [Identity]; [Identity.May] is the
// decision. Everything is read into one snapshot, which a reload replaces as a whole: a request
// is decided by one snapshot from end to end.
//
//   - identity.go: who there can be. decide.go: what each may do, compiled from rules.go.
//   - passwords.go, hashes.go, jetty.go: names with passwords; logins.go: how they are checked.
//   - keys.go: API keys. certificates.go: names out of certificates. tokens.go: JWT.
//   - quotas.go: how much each may do. access.go: the snapshot of all files.
//
// Invariants:
//
//   - A caller without credentials is anonymous, which is an identity like others: it may do
//     what a rule names it for, and nothing else. Wrong credentials never make a caller anonymous.
//   - A rule that denies outweighs all that allow.
//   - A decision about a known identity takes no lock and allocates nothing. The check of a
//     password takes tens of milliseconds by design; few run at once, and a good one is
//     remembered by a keyed hash, never as it was sent.
//   - No file holds a key that is worth stealing: of an API key it has the SHA-256, which is safe
//     because the key has 256 random bits; of a password it has bcrypt or argon2id, unless the
//     operator brings a file of the Confluent proxy.
//
// The package knows nothing of HTTP but the form of the Authorization header. Errors are
// [apierr.Error] values, and say nothing of which part of a credential was wrong.
package auth
