// Package testindex makes small package indexes for tests: source distributions with a
// build backend of their own in their tree, so that nothing but a Python is needed to build
// them, and every kind of damage that ReqPM must survive. Only tests import it.
package testindex
