// Package pg is the one seam to the Postgres driver: how the pool is configured, how a transaction
// is run, how several statements go in one round trip, and what an error of the driver means.
package pg
