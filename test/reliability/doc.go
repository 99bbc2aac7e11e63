// Package reliability kills, starves and damages whole `reqpm build` processes and looks at
// what they leave behind. It has only tests; docs/reliability.md says what they found.
//
// They need root, the tools of a build and a few minutes; where one of these is missing they
// skip and say so. REQPM_KILLS is how many times TestKilled kills (default 6).
package reliability
