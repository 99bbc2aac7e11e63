package native

// items are the libraries and tools with a name known everywhere.
//
// Names for EL are of the packages of RHEL 8 to 10 and EPEL, as their specs have them; a comment says
// where one is not in BaseOS or AppStream. pkgconfig() is preferred: every release provides it alike,
// whatever its package is called. Names for Debian are of Debian 12 and 13 and Ubuntu 22.04 and
// 24.04.
var items = []item{
	// Tools.
	{name: "cmake", tool: true, programs: []string{"cmake"}, rpm: "cmake", rpm7: "cmake3", debian: []string{"cmake"}},                                         // EL7: EPEL
	{name: "ninja", tool: true, programs: []string{"ninja"}, rpm: "ninja-build", debian: []string{"ninja-build"}},                                             // EL8, EL9: CRB; EL7: EPEL
	{name: "patchelf", tool: true, programs: []string{"patchelf"}, rpm: "patchelf", debian: []string{"patchelf"}},                                             // EPEL
	{name: "pkg-config", tool: true, programs: []string{"pkg-config"}, rpm: "/usr/bin/pkg-config", debian: []string{"pkgconf", "pkg-config"}},                 //
	{name: "swig", tool: true, programs: []string{"swig"}, rpm: "swig", debian: []string{"swig"}},                                                             // EL9, EL10: CRB
	{name: "gfortran", tool: true, compiler: true, programs: []string{"gfortran"}, rpm: "gcc-gfortran", debian: []string{"gfortran"}},                         //
	{name: "rust", tool: true, compiler: true, programs: []string{"cargo", "rustc"}, rpm: "cargo rust", debian: []string{"cargo", "cargo-web"}, newest: true}, // EL7: EPEL
	{name: "node", tool: true, programs: []string{"node"}, rpm: "/usr/bin/node", debian: []string{"nodejs"}},

	// Text and data formats.
	{name: "libxml2", pkgConfig: "libxml-2.0", headers: []string{"libxml/"}, link: []string{"xml2"}, cmake: []string{"LibXml2"}, programs: nil, debian: []string{"libxml2-dev"}, hostPC: true},
	{name: "libxslt", pkgConfig: "libxslt", modules: []string{"libexslt"}, headers: []string{"libxslt/", "libexslt/"}, link: []string{"xslt", "exslt"}, cmake: []string{"LibXslt"}, debian: []string{"libxslt1-dev"}, hostPC: true},
	{name: "xmlsec1", pkgConfig: "xmlsec1", modules: []string{"xmlsec1-openssl"}, headers: []string{"xmlsec/"}, link: []string{"xmlsec1"}, rpm: "pkgconfig(xmlsec1) pkgconfig(xmlsec1-openssl) libtool-ltdl-devel", debian: []string{"libxmlsec1-dev"}, hostPC: true}, // CRB
	{name: "libyaml", pkgConfig: "yaml-0.1", headers: []string{"yaml.h"}, link: []string{"yaml"}, debian: []string{"libyaml-dev"}, hostPC: true},                                                                                                                      // CRB
	{name: "expat", pkgConfig: "expat", headers: []string{"expat.h"}, link: []string{"expat"}, cmake: []string{"EXPAT"}, debian: []string{"libexpat1-dev"}, hostPC: true},
	{name: "icu", pkgConfig: "icu-i18n", modules: []string{"icu-uc"}, headers: []string{"unicode/"}, link: []string{"icui18n", "icuuc"}, cmake: []string{"ICU"}, debian: []string{"libicu-dev"}, hostPC: true},

	// Compression.
	{name: "zlib", pkgConfig: "zlib", headers: []string{"zlib.h"}, link: []string{"z"}, cmake: []string{"ZLIB"}, debian: []string{"zlib1g-dev"}, hostPC: true},
	{name: "bzip2", headers: []string{"bzlib.h"}, link: []string{"bz2"}, cmake: []string{"BZip2"}, rpm: "bzip2-devel", debian: []string{"libbz2-dev"}},
	{name: "liblzma", pkgConfig: "liblzma", headers: []string{"lzma.h"}, link: []string{"lzma"}, cmake: []string{"LibLZMA"}, debian: []string{"liblzma-dev"}, hostPC: true},
	{name: "lz4", pkgConfig: "liblz4", headers: []string{"lz4.h", "lz4frame.h"}, link: []string{"lz4"}, debian: []string{"liblz4-dev"}, hostPC: true},
	{name: "zstd", pkgConfig: "libzstd", headers: []string{"zstd.h"}, link: []string{"zstd"}, cmake: []string{"zstd"}, debian: []string{"libzstd-dev"}, hostPC: true}, // EL7: EPEL
	{name: "xxhash", pkgConfig: "libxxhash", headers: []string{"xxhash.h"}, link: []string{"xxhash"}, debian: []string{"libxxhash-dev"}, hostPC: true},                // CRB, EPEL
	{name: "lzo", headers: []string{"lzo/"}, link: []string{"lzo2"}, rpm: "lzo-devel", debian: []string{"liblzo2-dev"}},
	{name: "snappy", headers: []string{"snappy.h", "snappy-c.h"}, link: []string{"snappy"}, cmake: []string{"Snappy"}, rpm: "snappy-devel", debian: []string{"libsnappy-dev"}},
	{name: "libarchive", pkgConfig: "libarchive", headers: []string{"archive.h"}, link: []string{"archive"}, cmake: []string{"LibArchive"}, debian: []string{"libarchive-dev"}, hostPC: true},

	// Cryptography and identity.
	{name: "openssl", pkgConfig: "openssl", modules: []string{"libssl", "libcrypto"}, headers: []string{"openssl/"}, link: []string{"ssl", "crypto"}, cmake: []string{"OpenSSL"}, debian: []string{"libssl-dev"}, hostPC: true},
	{name: "libsodium", pkgConfig: "libsodium", headers: []string{"sodium.h"}, link: []string{"sodium"}, debian: []string{"libsodium-dev"}, hostPC: true}, // EPEL
	{name: "krb5", headers: []string{"gssapi.h", "gssapi/", "krb5.h", "krb5/"}, link: []string{"gssapi_krb5", "krb5"}, programs: []string{"krb5-config"}, rpm: "krb5-devel", debian: []string{"libkrb5-dev"}},
	{name: "ldap", headers: []string{"ldap.h", "lber.h"}, link: []string{"ldap", "ldap_r", "lber"}, rpm: "openldap-devel", debian: []string{"libldap-dev", "libldap2-dev"}},
	{name: "sasl", headers: []string{"sasl/"}, link: []string{"sasl2"}, rpm: "cyrus-sasl-devel", debian: []string{"libsasl2-dev"}},
	{name: "pcsc", pkgConfig: "libpcsclite", headers: []string{"winscard.h"}, link: []string{"pcsclite"}, debian: []string{"libpcsclite-dev"}, hostPC: true}, // CRB
	{name: "pam", headers: []string{"security/"}, link: []string{"pam"}, rpm: "pam-devel", debian: []string{"libpam0g-dev"}},

	// Databases and messages.
	{name: "libpq", pkgConfig: "libpq", headers: []string{"libpq-fe.h", "libpq/"}, link: []string{"pq"}, cmake: []string{"PostgreSQL"}, programs: []string{"pg_config"}, rpm: "libpq-devel", rpm7: "postgresql-devel", debian: []string{"libpq-dev"}},
	{name: "mariadb", pkgConfig: "libmariadb", modules: []string{"mysqlclient", "mariadb"}, headers: []string{"mysql.h", "mysql/"}, link: []string{"mysqlclient", "mariadb"}, rpm: "mariadb-connector-c-devel", rpm7: "mariadb-devel", debian: []string{"libmariadb-dev"}, hostPC: true},
	{name: "sqlite", pkgConfig: "sqlite3", headers: []string{"sqlite3.h"}, link: []string{"sqlite3"}, cmake: []string{"SQLite3"}, debian: []string{"libsqlite3-dev"}, hostPC: true},
	{name: "odbc", headers: []string{"sql.h", "sqlext.h"}, link: []string{"odbc"}, cmake: []string{"ODBC"}, programs: []string{"odbc_config"}, rpm: "unixODBC-devel", debian: []string{"unixodbc-dev"}},
	{name: "freetds", headers: []string{"sybdb.h", "sybfront.h"}, link: []string{"sybdb", "ct"}, rpm: "freetds-devel", debian: []string{"freetds-dev"}},                 // EPEL
	{name: "leveldb", headers: []string{"leveldb/"}, link: []string{"leveldb"}, rpm: "leveldb-devel", debian: []string{"libleveldb-dev"}},                               // EPEL
	{name: "zeromq", pkgConfig: "libzmq", headers: []string{"zmq.h"}, link: []string{"zmq"}, cmake: []string{"ZeroMQ"}, debian: []string{"libzmq3-dev"}, hostPC: true},  // EPEL
	{name: "memcached", pkgConfig: "libmemcached", headers: []string{"libmemcached/"}, link: []string{"memcached"}, debian: []string{"libmemcached-dev"}, hostPC: true}, // CRB
	{name: "rdkafka", pkgConfig: "rdkafka", headers: []string{"librdkafka/"}, link: []string{"rdkafka"}, debian: []string{"librdkafka-dev"}, hostPC: true},              // CRB, EPEL

	// Network.
	{name: "curl", pkgConfig: "libcurl", headers: []string{"curl/"}, link: []string{"curl"}, cmake: []string{"CURL"}, programs: []string{"curl-config"}, rpm: "libcurl-devel", debian: []string{"libcurl4-openssl-dev"}},
	{name: "c-ares", pkgConfig: "libcares", headers: []string{"ares.h"}, link: []string{"cares"}, debian: []string{"libc-ares-dev"}, hostPC: true},
	{name: "netsnmp", headers: []string{"net-snmp/"}, link: []string{"netsnmp"}, programs: []string{"net-snmp-config"}, rpm: "net-snmp-devel", debian: []string{"libsnmp-dev"}},
	{name: "libssh", pkgConfig: "libssh", headers: []string{"libssh/"}, link: []string{"ssh"}, debian: []string{"libssh-dev"}, hostPC: true},
	{name: "libssh2", pkgConfig: "libssh2", headers: []string{"libssh2.h"}, link: []string{"ssh2"}, debian: []string{"libssh2-1-dev"}, hostPC: true},                       // EPEL
	{name: "pcap", headers: []string{"pcap.h", "pcap/"}, link: []string{"pcap"}, programs: []string{"pcap-config"}, rpm: "libpcap-devel", debian: []string{"libpcap-dev"}}, // CRB

	// Pictures, fonts, sound.
	{name: "libjpeg", pkgConfig: "libjpeg", headers: []string{"jpeglib.h"}, link: []string{"jpeg"}, cmake: []string{"JPEG"}, rpm: "libjpeg-turbo-devel", debian: []string{"libjpeg-dev"}, hostPC: true},
	{name: "libpng", pkgConfig: "libpng", headers: []string{"png.h"}, link: []string{"png"}, cmake: []string{"PNG"}, debian: []string{"libpng-dev"}, hostPC: true},
	{name: "libtiff", pkgConfig: "libtiff-4", headers: []string{"tiff.h", "tiffio.h"}, link: []string{"tiff"}, cmake: []string{"TIFF"}, debian: []string{"libtiff-dev", "libtiff5-dev"}, hostPC: true},
	{name: "freetype", pkgConfig: "freetype2", headers: []string{"ft2build.h", "freetype/"}, link: []string{"freetype"}, cmake: []string{"Freetype"}, debian: []string{"libfreetype-dev", "libfreetype6-dev"}, hostPC: true},
	{name: "lcms2", pkgConfig: "lcms2", headers: []string{"lcms2.h"}, link: []string{"lcms2"}, debian: []string{"liblcms2-dev"}, hostPC: true},                                                                          // EL9: CRB
	{name: "libwebp", pkgConfig: "libwebp", modules: []string{"libwebpmux", "libwebpdemux"}, headers: []string{"webp/"}, link: []string{"webp", "webpmux", "webpdemux"}, debian: []string{"libwebp-dev"}, hostPC: true}, //
	{name: "openjpeg2", pkgConfig: "libopenjp2", headers: []string{"openjpeg.h"}, link: []string{"openjp2"}, debian: []string{"libopenjp2-7-dev"}, hostPC: true},                                                        // CRB
	{name: "xcb", pkgConfig: "xcb", headers: []string{"xcb/"}, link: []string{"xcb"}, debian: []string{"libxcb1-dev"}, hostPC: true},
	{name: "cairo", pkgConfig: "cairo", headers: []string{"cairo.h", "cairo/"}, link: []string{"cairo"}, debian: []string{"libcairo2-dev"}, hostPC: true},
	{name: "graphviz", pkgConfig: "libcgraph", headers: []string{"graphviz/"}, link: []string{"cgraph", "gvc"}, rpm: "graphviz-devel", debian: []string{"libgraphviz-dev"}, hostPC: true}, // CRB
	{name: "portaudio", headers: []string{"portaudio.h"}, link: []string{"portaudio"}, rpm: "portaudio-devel", debian: []string{"portaudio19-dev"}},                                       // EPEL
	{name: "sndfile", pkgConfig: "sndfile", headers: []string{"sndfile.h"}, link: []string{"sndfile"}, debian: []string{"libsndfile1-dev"}, hostPC: true},
	{name: "cups", headers: []string{"cups/"}, link: []string{"cups"}, programs: []string{"cups-config"}, rpm: "cups-devel", debian: []string{"libcups2-dev"}},

	// Numbers and geography.
	{name: "openblas", pkgConfig: "openblas", modules: []string{"blas", "lapack", "cblas"}, headers: []string{"cblas.h", "lapacke.h"}, link: []string{"openblas", "blas", "lapack"}, cmake: []string{"BLAS", "LAPACK", "OpenBLAS"}, rpm: "openblas-devel", debian: []string{"libopenblas-dev"}, hostPC: true}, // CRB
	{name: "gmp", pkgConfig: "gmp", headers: []string{"gmp.h"}, link: []string{"gmp"}, rpm: "gmp-devel", debian: []string{"libgmp-dev"}, hostPC: true},
	{name: "mpfr", pkgConfig: "mpfr", headers: []string{"mpfr.h"}, link: []string{"mpfr"}, rpm: "mpfr-devel", debian: []string{"libmpfr-dev"}, hostPC: true},                                                   // CRB
	{name: "mpc", headers: []string{"mpc.h"}, link: []string{"mpc"}, rpm: "libmpc-devel", debian: []string{"libmpc-dev"}},                                                                                      // CRB
	{name: "hdf5", headers: []string{"hdf5.h"}, link: []string{"hdf5"}, cmake: []string{"HDF5"}, programs: nil, rpm: "hdf5-devel", debian: []string{"libhdf5-dev"}},                                            // EPEL
	{name: "netcdf", pkgConfig: "netcdf", headers: []string{"netcdf.h"}, link: []string{"netcdf"}, programs: []string{"nc-config"}, rpm: "netcdf-devel", debian: []string{"libnetcdf-dev"}},                    // EPEL
	{name: "geos", pkgConfig: "geos", headers: []string{"geos_c.h"}, link: []string{"geos_c"}, cmake: []string{"GEOS"}, programs: []string{"geos-config"}, rpm: "geos-devel", debian: []string{"libgeos-dev"}}, // EPEL
	{name: "proj", pkgConfig: "proj", headers: []string{"proj.h"}, link: []string{"proj"}, cmake: []string{"PROJ"}, rpm: "proj-devel", debian: []string{"libproj-dev"}, hostPC: true},                          // EPEL
	{name: "gdal", pkgConfig: "gdal", headers: []string{"gdal.h"}, link: []string{"gdal"}, cmake: []string{"GDAL"}, programs: []string{"gdal-config"}, rpm: "gdal-devel", debian: []string{"libgdal-dev"}},     // EPEL

	// The system.
	{name: "libffi", pkgConfig: "libffi", headers: []string{"ffi.h"}, link: []string{"ffi"}, debian: []string{"libffi-dev"}, hostPC: true},
	{name: "dbus", pkgConfig: "dbus-1", headers: []string{"dbus/"}, link: []string{"dbus-1"}, debian: []string{"libdbus-1-dev"}, hostPC: true},
	{name: "glib", pkgConfig: "glib-2.0", modules: []string{"gobject-2.0", "gio-2.0"}, headers: []string{"glib.h", "glib-object.h"}, link: []string{"glib-2.0"}, debian: []string{"libglib2.0-dev"}, hostPC: true},
	{name: "gobject-introspection", pkgConfig: "gobject-introspection-1.0", headers: []string{"girepository.h"}, debian: []string{"libgirepository1.0-dev"}, hostPC: true},
	{name: "systemd", pkgConfig: "libsystemd", headers: []string{"systemd/"}, link: []string{"systemd"}, debian: []string{"libsystemd-dev"}, hostPC: true},
	{name: "udev", pkgConfig: "libudev", headers: []string{"libudev.h"}, link: []string{"udev"}, debian: []string{"libudev-dev"}, hostPC: true},
	{name: "libusb", pkgConfig: "libusb-1.0", headers: []string{"libusb.h", "libusb-1.0/"}, link: []string{"usb-1.0"}, debian: []string{"libusb-1.0-0-dev"}, hostPC: true},
	{name: "acl", headers: []string{"sys/acl.h", "acl/"}, link: []string{"acl"}, rpm: "libacl-devel", debian: []string{"libacl1-dev"}},
	{name: "attr", headers: []string{"attr/"}, link: []string{"attr"}, rpm: "libattr-devel", debian: []string{"libattr1-dev"}},
	{name: "libcap", headers: []string{"sys/capability.h"}, link: []string{"cap"}, rpm: "libcap-devel", debian: []string{"libcap-dev"}},
	{name: "fuse", pkgConfig: "fuse", headers: []string{"fuse.h"}, link: []string{"fuse"}, debian: []string{"libfuse-dev"}},
	{name: "fuse3", pkgConfig: "fuse3", headers: []string{"fuse3/"}, link: []string{"fuse3"}, debian: []string{"libfuse3-dev"}, hostPC: true},
	{name: "libvirt", pkgConfig: "libvirt", headers: []string{"libvirt/"}, link: []string{"virt"}, debian: []string{"libvirt-dev"}, hostPC: true}, // CRB
	{name: "libgit2", pkgConfig: "libgit2", headers: []string{"git2.h"}, link: []string{"git2"}, debian: []string{"libgit2-dev"}, hostPC: true},   // CRB, EPEL
	{name: "augeas", pkgConfig: "augeas", headers: []string{"augeas.h"}, link: []string{"augeas"}, debian: []string{"libaugeas-dev"}, hostPC: true},
	{name: "readline", headers: []string{"readline/"}, link: []string{"readline"}, rpm: "readline-devel", debian: []string{"libreadline-dev"}},
	{name: "ncurses", headers: []string{"curses.h", "ncurses.h"}, link: []string{"ncurses", "ncursesw"}, rpm: "ncurses-devel", debian: []string{"libncurses-dev"}},
	{name: "numa", headers: []string{"numa.h"}, link: []string{"numa"}, rpm: "numactl-devel", debian: []string{"libnuma-dev"}},
}

// packages are the needs of packages, as their documentation says them; "?" marks what a build can
// do without. A package that is here with nothing brings its libraries itself: what its
// sources name is in its archive, or not used.
var packages = map[string]string{
	"lxml": "libxml2 libxslt zlib", "xmlsec": "xmlsec1 libxml2", "psycopg2": "libpq openssl", "psycopg-c": "libpq openssl", "pygresql": "libpq",
	"pyzmq": "zeromq", "pillow": "libjpeg zlib ?libtiff ?freetype ?lcms2 ?libwebp ?openjpeg2 ?xcb", "cryptography": "openssl libffi",
	"cffi": "libffi", "mysqlclient": "mariadb", "mariadb": "mariadb", "pyyaml": "?libyaml", "h5py": "hdf5", "tables": "hdf5 ?bzip2 ?lzo",
	"pygraphviz": "graphviz", "python-ldap": "ldap sasl openssl", "pycurl": "curl openssl", "dbus-python": "dbus glib", "gssapi": "krb5",
	"krb5": "krb5", "kerberos": "krb5", "pykerberos": "krb5", "numpy": "?openblas", "scipy": "openblas gfortran", "shapely": "geos", "pyodbc": "odbc",
	"pymssql": "freetds openssl", "systemd-python": "systemd", "cysystemd": "systemd", "pycups": "cups", "pygobject": "gobject-introspection glib libffi cairo",
	"pycairo": "cairo", "m2crypto": "openssl swig", "pygit2": "libgit2 libffi", "libvirt-python": "libvirt", "plyvel": "leveldb",
	"pyaudio": "portaudio", "pylibacl": "acl", "pyxattr": "attr", "gmpy2": "gmp mpfr mpc", "gdal": "gdal", "rasterio": "gdal", "fiona": "gdal",
	"pyproj": "proj", "netcdf4": "netcdf hdf5", "hidapi": "libusb udev", "pyicu": "icu", "pylibmc": "memcached zlib", "llfuse": "fuse attr",
	"pyfuse3": "fuse3", "borgbackup": "openssl acl lz4 zstd xxhash", "python-lzo": "lzo", "confluent-kafka": "rdkafka", "pyscard": "pcsc swig",
	"python-prctl": "libcap", "pyaugeas": "augeas", "pycares": "libffi", "fontforge": "", "easysnmp": "netsnmp", "pcapy-ng": "pcap", "ssh-python": "libssh openssl", "ssh2-python": "libssh2 openssl zlib",
	"grpcio": "", "grpcio-tools": "", "uvloop": "", "gevent": "libffi", "lz4": "", "zstandard": "", "brotli": "", "orjson": "", "pynacl": "libffi",
	"bcrypt": "", "greenlet": "", "psutil": "", "argon2-cffi-bindings": "libffi", "ruamel-yaml-clib": "", "pydantic-core": "", "rpds-py": "", "cython": "",
}
