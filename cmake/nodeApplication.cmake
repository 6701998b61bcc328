# The Node.js application: npm packages, rclnodejs for this ROS 2, JavaScript of every interface that is sourced, dist.
# Everything happens in ${application} in the build tree; the source tree is only read.
set(application "${CMAKE_CURRENT_BINARY_DIR}/application")
set(stamps "${CMAKE_CURRENT_BINARY_DIR}/stamps")
set(builder "${CMAKE_CURRENT_SOURCE_DIR}/cmake/buildApplication.mjs")
file(MAKE_DIRECTORY "${stamps}")

set(build_step "${CMAKE_COMMAND}" -E env
  "MAGMA_VLA_SOURCE=${CMAKE_CURRENT_SOURCE_DIR}"
  "MAGMA_VLA_APPLICATION=${application}"
  "MAGMA_VLA_NPM=${MAGMA_VLA_NPM}"
  "MAGMA_VLA_NPM_CACHE=${MAGMA_VLA_NPM_CACHE}"
  "${MAGMA_VLA_NODE}" "${builder}"
)

# 1. The npm packages of package-lock.json that run or compile it.
add_custom_command(OUTPUT "${stamps}/packages"
  COMMAND ${build_step} packages
  COMMAND "${CMAKE_COMMAND}" -E touch "${stamps}/packages"
  DEPENDS "${builder}" package.json package-lock.json .npmrc
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  COMMENT "magma_vla: npm packages" VERBATIM)

# 2. rclnodejs against the ROS 2 that is sourced: its binary for this platform, or compiled.
add_custom_command(OUTPUT "${stamps}/rclnodejs"
  COMMAND ${build_step} rclnodejs
  COMMAND "${CMAKE_COMMAND}" -E touch "${stamps}/rclnodejs"
  DEPENDS "${stamps}/packages"
  COMMENT "magma_vla: rclnodejs for ROS 2 $ENV{ROS_DISTRO}" VERBATIM)

# 3. JavaScript of every interface on AMENT_PREFIX_PATH, and of this package's own, which are not installed yet: they are
#    laid out here as they will be. Then the check that all of it can be imported.
set(staged "${CMAKE_CURRENT_BINARY_DIR}/staged_interfaces/share")
set(staged_files "")
set(resource_index "")
foreach(file IN LISTS interface_files)
  configure_file("${file}" "${staged}/${PROJECT_NAME}/${file}" COPYONLY)
  list(APPEND staged_files "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
  string(APPEND resource_index "${file}\n")
endforeach()
file(WRITE "${staged}/ament_index/resource_index/rosidl_interfaces/${PROJECT_NAME}" "${resource_index}")
add_custom_command(OUTPUT "${stamps}/interfaces"
  COMMAND ${build_step} interfaces "${CMAKE_CURRENT_BINARY_DIR}/staged_interfaces" ${interface_files}
  COMMAND "${CMAKE_COMMAND}" -E touch "${stamps}/interfaces"
  DEPENDS "${stamps}/rclnodejs" ${staged_files}
  COMMENT "magma_vla: JavaScript of the interfaces" VERBATIM)

# 4. dist
file(GLOB_RECURSE typescript CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/src/*.ts")
add_custom_command(OUTPUT "${stamps}/dist"
  COMMAND ${build_step} dist
  COMMAND "${CMAKE_COMMAND}" -E touch "${stamps}/dist"
  DEPENDS "${stamps}/packages" tsconfig.json tsconfig.build.json ${typescript}
  COMMENT "magma_vla: TypeScript" VERBATIM)

add_custom_target(${PROJECT_NAME}_application ALL DEPENDS "${stamps}/interfaces" "${stamps}/dist")

# Install. The application finds its own files from dist/main.js, so all of them lie side by side in share/.
set(share "share/${PROJECT_NAME}")
install(DIRECTORY config launch models worlds DESTINATION ${share}
  PATTERN "training" EXCLUDE PATTERN "__pycache__" EXCLUDE)
install(FILES LICENSE DESTINATION ${share})
install(FILES "${application}/package.json" DESTINATION ${share})
if(AMENT_CMAKE_SYMLINK_INSTALL)
  # One link per folder: a link for each of thousands of files takes longer than the build, and rebuilding
  # dist is enough to try a change.
  foreach(folder dist node_modules)
    install(CODE "
      set(link \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${share}/${folder}\")
      file(REMOVE_RECURSE \"\${link}\")
      file(CREATE_LINK \"${application}/${folder}\" \"\${link}\" SYMBOLIC)
      message(STATUS \"Linked: \${link}\")")
  endforeach()
else()
  # What an earlier --symlink-install left would be written through; what an earlier version left would stay.
  install(CODE "
    foreach(folder dist node_modules)
      file(REMOVE_RECURSE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${share}/\${folder}\")
    endforeach()")
  install(DIRECTORY "${application}/dist" DESTINATION ${share} PATTERN ".tsbuildinfo" EXCLUDE)
  install(DIRECTORY "${application}/node_modules" DESTINATION ${share} USE_SOURCE_PERMISSIONS MESSAGE_NEVER
    PATTERN ".bin" EXCLUDE
    REGEX "/application/node_modules/(typescript|@types)$" EXCLUDE)
endif()

# ros2 run magma_vla node | simulator | magma_vla
foreach(executable node simulator magma_vla)
  set(command "")
  if(executable STREQUAL "node")
    set(command " run")
  elseif(executable STREQUAL "simulator")
    set(command " simulator")
  endif()
  configure_file(cmake/executable.sh.in "${CMAKE_CURRENT_BINARY_DIR}/executables/${executable}" @ONLY)
  install(PROGRAMS "${CMAKE_CURRENT_BINARY_DIR}/executables/${executable}" DESTINATION lib/${PROJECT_NAME})
endforeach()
