// Package apikey keeps the keys that callers of the HTTP API prove themselves with.
//
// # A key
//
// A key reads wl_<id>_<secret>. The id is public: it names the row, and logs and lists show it. The secret has 130 random
// bits and is shown once, when the key is made; the row has SHA-256 of the whole key. A slow hash, as for passwords, would
// add nothing: it makes guessing expensive, and what is as random as this cannot be guessed. The comparison takes the
// same time wherever the first difference is. A key has a tenant, a principal and a [Role], and may expire.
//
// # A node's memory of keys
//
// [Directory.Check] answers from memory. Every key that was used within the last minute is read again every second, all
// of them in one statement, so that a revocation reaches every node within a second or two and rests on no notification.
// While the database cannot be read, a key that is known goes on working for as long as requests ride an outage out; after
// that it is looked up by the request itself, which fails as unavailable. A node that is cut off from the database can do
// nothing with a request in any case.
//
// # Strangers
//
// What does not look like a key is refused unread, and so is a known id with a wrong secret. Ids that nobody has seen are
// looked up together, one statement at a time for a whole node, and only so many requests wait for it: whoever makes keys
// up keeps one connection busy at most. An id that is not there is remembered for a moment.
package apikey
