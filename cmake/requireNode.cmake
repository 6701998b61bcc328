# MAGMA_VLA_NODE and MAGMA_VLA_NPM: Node.js 20 or newer and its npm, or a message that says where to get them.
find_program(MAGMA_VLA_NODE NAMES node nodejs DOC "Node.js, 20 or newer")
find_program(MAGMA_VLA_NPM NAMES npm DOC "npm of that Node.js")

set(node_advice
  "The Node.js of apt is older on Ubuntu 22.04 (12) and 24.04 (18). Newer ones: https://nodejs.org/en/download, "
  "https://github.com/nodesource/distributions (apt), or nvm. Install one, open a new terminal, source ROS 2, build again. "
  "A Node.js elsewhere: colcon build --cmake-args -DMAGMA_VLA_NODE=/path/to/bin/node -DMAGMA_VLA_NPM=/path/to/bin/npm. "
  "The messages alone need no Node.js: colcon build --cmake-args -DMAGMA_VLA_INTERFACES_ONLY=ON"
)
string(CONCAT node_advice ${node_advice})

set(node_found "no node on PATH")
set(node_version 0)
if(MAGMA_VLA_NODE)
  execute_process(COMMAND "${MAGMA_VLA_NODE}" --version
    OUTPUT_VARIABLE node_version ERROR_VARIABLE node_errors RESULT_VARIABLE node_result
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(node_found "${MAGMA_VLA_NODE} ${node_version}")
  if(NOT node_result EQUAL 0 OR NOT node_version MATCHES "^v([0-9.]+)")
    set(node_found "${MAGMA_VLA_NODE}, which does not run: ${node_result} ${node_errors}")
    set(node_version 0)
  else()
    set(node_version "${CMAKE_MATCH_1}")
  endif()
endif()
# What was not good enough is searched for again next time.
if(node_version VERSION_LESS 20)
  unset(MAGMA_VLA_NODE CACHE)
  unset(MAGMA_VLA_NPM CACHE)
  message(FATAL_ERROR "magma_vla: got ${node_found}, expected Node.js 20 or newer. ${node_advice}")
endif()

if(NOT MAGMA_VLA_NPM)
  unset(MAGMA_VLA_NPM CACHE)
  message(FATAL_ERROR "magma_vla: got no npm on PATH beside ${node_found}, expected the npm of Node.js 20 or newer "
    "(the nodejs of Debian has it in a package of its own: apt install npm). ${node_advice}")
endif()
message(STATUS "magma_vla: ${node_found}, npm ${MAGMA_VLA_NPM}")
