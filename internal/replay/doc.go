// Package replay keeps what an index said while something was resolved, and says it again from a
// loopback address: real pages and real metadata for benchmarks that anybody can repeat without
// asking the index. A recording is a folder:
//
//	pages/<project>.json       the whole page (PEP 691), addresses relative
//	metadata/<project>-<version>   the core metadata of that version's wheels
//	files/<file name>          what was downloaded: source distributions, build tools
//
// The server announces metadata files (PEP 658) for the wheels of every version that it has metadata
// of, whether or not the recorded index had them. No name of a host is in a recording.
package replay
