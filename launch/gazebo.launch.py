"""The built-in arm in Gazebo (gz sim) behind ros2_control, and the node with it, in a dry run.

    ros2 launch magma_vla gazebo.launch.py

NOT RUN: written against the documentation of gz sim 8 (Harmonic), ros_gz and gz_ros2_control of Jazzy. The URDF passes
check_urdf, the world passes the SDF parser; that Gazebo starts them, that the controllers come up and that the arm follows
has not been seen. models/nano was trained on the built-in simulation's pictures: expect less of it on Gazebo's.
Needs: ros_gz_sim, ros_gz_bridge, gz_ros2_control, ros2_controllers, robot_state_publisher.
"""

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

SHARE = get_package_share_directory('magma_vla')


def robot_description(share):
    """URDF of the arm with what Gazebo and ros2_control need: builtin_arm.urdf + gazebo/ros2_control.urdf."""

    def read(*path):
        with open(os.path.join(share, 'config', *path), encoding='utf-8') as file:
            return file.read()

    arm = read('builtin_arm.urdf')
    fragment = read('gazebo', 'ros2_control.urdf')
    inner = fragment[fragment.index('<fragment>') + len('<fragment>') : fragment.index('</fragment>')]
    inner = inner.replace('${controllers}', os.path.join(share, 'config', 'gazebo', 'controllers.yaml'))
    return arm.replace('</robot>', f'{inner}</robot>')


def start(context):
    sim_time = {'use_sim_time': True}
    gazebo = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            os.path.join(get_package_share_directory('ros_gz_sim'), 'launch', 'gz_sim.launch.py')
        ),
        launch_arguments={
            'gz_args': ['-r ', os.path.join(SHARE, 'worlds', 'table.sdf')],
            'on_exit_shutdown': 'true',
        }.items(),
    )
    description = Node(
        package='robot_state_publisher',
        executable='robot_state_publisher',
        parameters=[{'robot_description': robot_description(SHARE)}, sim_time],
    )
    arm = Node(
        package='ros_gz_sim',
        executable='create',
        arguments=['-topic', 'robot_description', '-name', 'builtin_arm', '-allow_renaming', 'false'],
        output='screen',
    )
    bridge = Node(
        package='ros_gz_bridge',
        executable='parameter_bridge',
        parameters=[{'config_file': os.path.join(SHARE, 'config', 'gazebo', 'bridge.yaml')}, sim_time],
        output='screen',
    )
    # Where `front` is: frame convention of optical frames (z forwards, x right), as in worlds/table.sdf.
    camera_frame = Node(
        package='tf2_ros',
        executable='static_transform_publisher',
        arguments=['--frame-id', 'base_link', '--child-frame-id', 'front_optical']
        + ['--x', '1.04', '--y', '0', '--z', '0.62']
        + ['--qx', '0.6532814824', '--qy', '0.6532814824', '--qz', '-0.2705980501', '--qw', '-0.2705980501'],
        parameters=[sim_time],
    )
    controllers = Node(
        package='controller_manager',
        executable='spawner',
        arguments=['joint_state_broadcaster', 'arm_controller', 'gripper_controller'],
        parameters=[sim_time],
        output='screen',
    )
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.path.join(SHARE, 'launch', 'robot.launch.py')),
        launch_arguments={
            'config_file': os.path.join(SHARE, 'config', 'sim.yaml'),
            'use_sim_time': 'true',
            'dry_run': LaunchConfiguration('dry_run'),
            'model': LaunchConfiguration('model'),
            'viz': LaunchConfiguration('viz'),
            'log_level': LaunchConfiguration('log_level'),
        }.items(),
        condition=IfCondition(LaunchConfiguration('node')),
    )
    return [
        gazebo,
        description,
        bridge,
        camera_frame,
        arm,
        RegisterEventHandler(OnProcessExit(target_action=arm, on_exit=[controllers])),
        RegisterEventHandler(OnProcessExit(target_action=controllers, on_exit=[node])),
    ]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument('node', default_value='true', description='false: the arm and its controllers only'),
        DeclareLaunchArgument(
            'dry_run', default_value='true', choices=['true', 'false'], description='true: nothing is commanded'
        ),
        DeclareLaunchArgument('model', default_value=os.path.join(SHARE, 'models', 'nano'), description='model folder'),
        DeclareLaunchArgument('viz', default_value='none', choices=['none', 'rviz', 'foxglove'], description='viewer'),
        DeclareLaunchArgument('log_level', default_value='info', description='of the node'),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
