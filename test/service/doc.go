// Package service tests the service as its users have it: the program in processes of its own, asked over HTTP,
// killed in the middle of its work, on SQLite and on PostgreSQL with two workers.
package service
